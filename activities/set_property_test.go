package activities_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"rollcall/automation"
	"rollcall/filter"
	"rollcall/workflows"
)

// everyType declares one property of each type, named for it.
func everyType(b *bench) {
	b.Helper()
	b.declare(
		property("a_string", filter.String), property("a_number", filter.Number), property("a_bool", filter.Bool),
		property("a_date", filter.Date), property("a_datetime", filter.Datetime),
		property("an_enum", filter.Enum, "red", "green"), property("an_open_enum", filter.Enum),
		property("a_multi_enum", filter.MultiEnum, "a", "b", "c"), property("an_open_multi_enum", filter.MultiEnum),
		property("a_user", filter.User), property("some_users", filter.Users), property("another_string", filter.String),
	)
}

func TestSetPropertyChangesEveryTypeInEveryMode(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	everyType(b)
	for i, tt := range []struct {
		name   string
		before properties
		with   string
		want   any // of the property in with
	}{
		{"a text", nil, `{"property": "a_string", "value": "hello"}`, "hello"},
		{"a text of a template", nil, `{"property": "a_string", "value": "{{ user.first_name }} L."}`, "Ada L."},
		{"an empty text, which clears", properties{"a_string": "x"}, `{"property": "a_string", "value": ""}`, nil},
		{"a template without a result, which clears", properties{"a_string": "x"}, `{"property": "a_string", "value": " {{ user.last_name }} "}`, nil},
		{"a number", nil, `{"property": "a_number", "value": 2.5}`, 2.5},
		{"a number of a template", nil, `{"property": "a_number", "value": " {{ 3 | plus: 4 }} "}`, 7.0},
		{"a truth", properties{"a_bool": true}, `{"property": "a_bool", "value": false}`, false},
		{"a truth of a template", nil, `{"property": "a_bool", "value": "{{ user.first_name == 'Ada' }}"}`, true},
		{"a date", nil, `{"property": "a_date", "value": "2027-01-04"}`, "2027-01-04"},
		{"a date of an instant", nil, `{"property": "a_date", "value": "{{ '2027-01-04T23:30:00Z' }}"}`, "2027-01-04"},
		{"a date of a template", properties{"hire_date": "2027-02-01"}, `{"property": "a_date", "value": "{{ user.hire_date }}"}`, "2027-02-01"},
		{"a date that is formatted", properties{"hire_date": "2027-02-01"}, `{"property": "a_date", "value": "{{ user.hire_date | date: '%Y-12-31' }}"}`, "2027-12-31"},
		{"an instant", nil, `{"property": "a_datetime", "value": "2027-01-04T09:00:00+01:00"}`, "2027-01-04T08:00:00Z"},
		{"an instant as templates write it", nil, `{"property": "a_datetime", "value": "{{ '2027-01-04T09:00:00Z' | date: '%Y-%m-%d %H:%M:%S %z' }}"}`, "2027-01-04T09:00:00Z"},
		{"an instant of a date", nil, `{"property": "a_datetime", "value": "2027-01-04"}`, "2027-01-04T00:00:00Z"},
		{"an option", properties{"an_enum": "red"}, `{"property": "an_enum", "value": "{{ 'GREEN' | downcase }}"}`, "green"},
		{"an option of an enum without options", nil, `{"property": "an_open_enum", "value": "anything"}`, "anything"},
		{"a list", properties{"a_multi_enum": []any{"c"}}, `{"property": "a_multi_enum", "value": ["b", "a", "b"]}`, []any{"a", "b"}},
		{"a list of one", nil, `{"property": "a_multi_enum", "value": "a"}`, []any{"a"}},
		{"a list with a template", nil, `{"property": "a_multi_enum", "value": ["b", "{{ 'A' | downcase }}"]}`, []any{"a", "b"}},
		{"an empty list, which clears", properties{"a_multi_enum": []any{"c"}}, `{"property": "a_multi_enum", "value": []}`, nil},
		{"a user", nil, `{"property": "a_user", "value": "{{ user.id | slice: 0 }}"}`, "u"},
		{"users", nil, `{"property": "some_users", "value": ["u_2", "u_1"]}`, []any{"u_1", "u_2"}},

		{"clear a text", properties{"a_string": "x"}, `{"property": "a_string", "clear": true}`, nil},
		{"clear a number", properties{"a_number": 3.0}, `{"property": "a_number", "clear": true}`, nil},
		{"clear a list", properties{"a_multi_enum": []any{"a"}}, `{"property": "a_multi_enum", "clear": true}`, nil},

		{"copy a text", properties{"another_string": "x"}, `{"property": "a_string", "copy": "another_string"}`, "x"},
		{"copy a date into a text", properties{"hire_date": "2027-02-01"}, `{"property": "a_string", "copy": "hire_date"}`, "2027-02-01"},
		{"copy a list", properties{"teams": []any{"c"}}, `{"property": "an_open_multi_enum", "copy": "teams"}`, []any{"c"}},
		{"copy an empty property, which clears", properties{"a_string": "x"}, `{"property": "a_string", "copy": "another_string"}`, nil},

		{"increment", properties{"a_number": 3.0}, `{"property": "a_number", "increment": 2}`, 5.0},
		{"increment by less than nothing", properties{"a_number": 3.0}, `{"property": "a_number", "increment": -5}`, -2.0},
		{"increment an empty number", nil, `{"property": "a_number", "increment": 1}`, 1.0},
		{"increment by a template", properties{"a_number": 3.0}, `{"property": "a_number", "increment": "{{ 2 | times: 2 }}"}`, 7.0},
		{"increment to nothing", properties{"a_number": 3.0}, `{"property": "a_number", "increment": -3}`, 0.0},

		{"append", properties{"a_multi_enum": []any{"c"}}, `{"property": "a_multi_enum", "append": "a"}`, []any{"a", "c"}},
		{"append several", properties{"a_multi_enum": []any{"c"}}, `{"property": "a_multi_enum", "append": ["b", "{{ 'A' | downcase }}"]}`, []any{"a", "b", "c"}},
		{"append to an empty list", nil, `{"property": "some_users", "append": "{{ user.id | slice: 0 }}"}`, []any{"u"}},
		{"remove", properties{"a_multi_enum": []any{"a", "c"}}, `{"property": "a_multi_enum", "remove": "a"}`, []any{"c"}},
		{"remove several", properties{"a_multi_enum": []any{"a", "b", "c"}}, `{"property": "a_multi_enum", "remove": ["{{ 'A' | downcase }}", "c", "x"]}`, []any{"b"}},
		{"remove the last one, which clears", properties{"some_users": []any{"u_1"}}, `{"property": "some_users", "remove": "u_1"}`, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := b.in(t)
			user := fmt.Sprintf("u%d", i)
			b.user(user, properties{"first_name": "Ada"})
			b.user(user, tt.before)
			var with struct{ Property string }
			decode(t, tt.with, &with)
			old := b.value(user, with.Property)

			v := b.do("set_property", b.step(fmt.Sprintf("w%d", i), user, "set_property", tt.with))

			require.Equal(t, tt.want, b.value(user, with.Property))
			require.Equal(t, automation.StepDone, v.Status)
			require.Equal(t, "changed "+with.Property, v.What)
			require.Equal(t, map[string]any{"changed": true, "old": old, "new": tt.want}, v.Output)
		})
	}
}

func TestSetPropertyToTheSameValueIsNoChange(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	everyType(b)
	b.listen()
	before := properties{"a_string": "x", "a_number": 3.0, "a_bool": true, "a_datetime": "2027-01-04T08:00:00Z", "a_multi_enum": []any{"a", "b"}}
	b.user("u_1", before)
	for i, with := range []string{
		`{"property": "a_string", "value": "{{ user.a_string }}"}`,
		`{"property": "a_number", "value": "3.0"}`,
		`{"property": "a_number", "increment": 0}`,
		`{"property": "a_bool", "value": "true"}`,
		`{"property": "a_datetime", "value": "2027-01-04T09:00:00+01:00"}`,
		`{"property": "a_multi_enum", "value": ["b", "a"]}`,
		`{"property": "a_multi_enum", "append": "a"}`,
		`{"property": "a_multi_enum", "append": []}`,
		`{"property": "a_multi_enum", "remove": "c"}`,
		`{"property": "an_enum", "clear": true}`,
		`{"property": "a_string", "copy": "a_string"}`,
	} {
		enrollment := b.step(fmt.Sprintf("w%d", i), "u_1", "set_property", with)
		changes, items := b.count(`select count(*) from changes`), b.count(`select count(*) from work_items`)

		v := b.do("set_property", enrollment)

		require.Contains(t, v.What, " was so already", with)
		require.Equal(t, map[string]any{"changed": false}, v.Output, with)
		require.Equal(t, changes, b.count(`select count(*) from changes`), with)
		require.Equal(t, items, b.count(`select count(*) from work_items`), with)
	}
}

func TestSetPropertyOfAWrongValueFailsForGood(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	everyType(b)
	for i, tt := range []struct{ name, with, message string }{
		{"a text for a number", `{"property": "a_number", "value": "{{ user.first_name }}"}`, "a_number must be a number"},
		{"no number for a number", `{"property": "a_number", "value": "{{ 'NaN' }}"}`, "a_number must be a number"},
		{"an endless number", `{"property": "a_number", "value": "{{ '-Infinity' }}"}`, "a_number must be a number"},
		{"a text for a truth", `{"property": "a_bool", "value": "{{ user.first_name }}"}`, "a_bool must be true or false"},
		{"a text for a date", `{"property": "a_date", "value": "{{ user.first_name }}"}`, "must be a date such as 2027-01-04"},
		{"a text for an instant", `{"property": "a_datetime", "value": "{{ user.first_name }}"}`, "must be an instant with a zone, such as 2027-01-04T09:00:00Z"},
		{"no option", `{"property": "an_enum", "value": "{{ user.first_name }}"}`, "red, green"},
		{"no option in a list", `{"property": "a_multi_enum", "value": ["{{ user.first_name }}"]}`, "a, b, c"},
		{"no option to append", `{"property": "a_multi_enum", "append": "{{ user.first_name }}"}`, "a, b, c"},
		{"nothing to append", `{"property": "a_multi_enum", "append": "{{ user.last_name }}"}`, "not empty"},
		{"no time zone", `{"property": "time_zone", "value": "{{ user.first_name }}"}`, "time zone"},
		{"no address", `{"property": "email", "value": "{{ user.first_name }}"}`, "plain address"},
		{"a text to add", `{"property": "a_number", "increment": "{{ user.first_name }}"}`, "increment Ada is not a number"},
		{"nothing to add", `{"property": "a_number", "increment": "{{ user.last_name }}"}`, "is not a number"},
		{"more than a number holds", `{"property": "scheduling_pages", "increment": 1e308}`, "scheduling_pages is too large to be incremented"},
		{"a copy of another type", `{"property": "a_number", "copy": "first_name"}`, "a_number must be a number"},
		{"a copy of a list into a text", `{"property": "a_string", "copy": "teams"}`, "a_string must be a text"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := b.in(t)
			user := fmt.Sprintf("u%d", i)
			b.user(user, properties{"first_name": "Ada", "teams": []any{"a"}, "scheduling_pages": 1e308})
			enrollment := b.step(fmt.Sprintf("w%d", i), user, "set_property", tt.with)

			b.failsForGood("set_property", enrollment, tt.message)

			require.Empty(t, b.visit(enrollment, "it").Output)
			require.Equal(t, 1, b.visit(enrollment, "it").Attempts)
			require.Zero(t, b.count(`select count(*) from changes where source <> 'api' and user_id = $1`, user))
		})
	}
}

func TestSetPropertyOfAPropertyThatIsGoneFailsForGood(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.declare(property("mood", filter.String))
	b.user("u_1", nil)
	enrollment := b.step("w", "u_1", "set_property", `{"property": "mood", "value": "good"}`)
	require.ErrorIs(t, b.db.DeleteProperty(t.Context(), "mood"), automation.ErrInUse)
	b.count(`with gone as (delete from properties where name = 'mood' returning 1) select count(*) from gone`) // behind our back

	b.failsForGood("set_property", enrollment, `there is no property "mood"`)
}

func TestSetPropertyRecordsWhoChangedAndHowDeep(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.listen()
	b.publish("w", `[{"id": "it", "action": "set_property", "with": {"property": "job_title", "value": "{{ event.title }}"}}, {"id": "rest", "delay": "1d"}]`,
		`"triggers": [{"event": "promoted"}]`)
	b.user("u_1", nil)
	_, err := b.db.AppendEvents(t.Context(), []automation.Event{{Name: "promoted", UserID: "u_1", Properties: properties{"title": "Lead"}}})
	require.NoError(t, err)
	enrollments := b.evaluate(3)
	require.Len(t, enrollments, 1)

	b.do("set_property", enrollments[0])

	var source, value string
	var depth int
	b.row([]any{&value, &source, &depth}, `select new #>> '{}', source, depth from changes where property = 'job_title'`)
	require.Equal(t, "Lead", value)
	require.Equal(t, "w/u_1/1", source)
	require.Equal(t, 4, depth)
	require.Equal(t, 1, b.count(`select count(*) from work_items where depth = 4 and changed = '{job_title}'`))
	history, _, err := b.db.History(t.Context(), "u_1", 0, 1)
	require.NoError(t, err)
	require.Equal(t, "w/u_1/1", history[0].Source)
}

func TestSetPropertyTwiceForOneVisitHappensOnce(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.user("u_1", properties{"scheduling_pages": 3.0})
	enrollment := b.step("w", "u_1", "set_property", `{"property": "scheduling_pages", "increment": 1}`)

	b.do("set_property", enrollment)
	v := b.do("set_property", enrollment)

	require.Equal(t, 4.0, b.value("u_1", "scheduling_pages"))
	require.Equal(t, map[string]any{"changed": true, "old": 3.0, "new": 4.0}, v.Output)
	require.Equal(t, 1, v.Attempts)

	_, err := b.try("set_property", workflows.StepInput{EnrollmentID: enrollment, Step: "it", Visit: 2})
	require.NoError(t, err)
	require.Equal(t, 5.0, b.value("u_1", "scheduling_pages"))
}

func TestSetPropertyTwiceAtOnceHappensOnce(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.user("u_1", nil)
	enrollment := b.step("w", "u_1", "set_property", `{"property": "scheduling_pages", "increment": 1}`)
	done := make(chan error, 8)
	for range cap(done) {
		other := b.in(t)
		go func() {
			_, err := other.activity.ExecuteActivity("set_property", workflows.StepInput{EnrollmentID: enrollment, Step: "it", Visit: 1})
			done <- err
		}()
	}
	for range cap(done) {
		require.NoError(t, <-done)
	}
	require.Equal(t, 1.0, b.value("u_1", "scheduling_pages"))
	require.Equal(t, 1, b.visit(enrollment, "it").Attempts)
}

func TestTheLastSetPropertyCompletesTheEnrollment(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.publish("w", `[{"id": "it", "action": "set_property", "with": {"property": "job_title", "value": "Lead"}}]`)
	b.user("u_1", nil)
	enrollment := b.enroll("w", "u_1")
	last := workflows.StepInput{EnrollmentID: enrollment, Step: "it", Last: true}

	result, err := b.try("set_property", last)

	require.NoError(t, err)
	require.Equal(t, workflows.ActionResult{Outcome: workflows.Done, Completed: true}, result)
	require.Equal(t, automation.Completed, b.enrollment(enrollment).Status)
	require.Equal(t, 1, b.count(`
		select count(*) from enrollments e join visits v on v.enrollment_id = e.id join changes c on c.source <> 'api'
		where e.xmin = v.xmin and v.xmin = c.xmin`), "one transaction")

	result, err = b.try("set_property", last)
	require.NoError(t, err)
	require.Equal(t, workflows.ActionResult{Outcome: workflows.Ended}, result, "a repetition finds the enrollment ended")
}

func TestSetPropertyIsCheckedAtPublication(t *testing.T) {
	t.Parallel()
	mood := property("mood", filter.MultiEnum, "good", "bad")
	for _, tt := range []struct {
		name, with string
		want       automation.Problems
	}{
		{"no mode", `{"property": "job_title"}`, problem("", "mode-invalid", "needs exactly one of value, copy, increment, append, remove and clear")},
		{"two modes", `{"property": "job_title", "value": "x", "clear": true}`, problem("", "mode-invalid", "needs exactly one of value, copy, increment, append, remove and clear")},
		{"no property", `{"value": "x"}`, problem("/property", "required", "property is required")},
		{"an unknown property", `{"property": "jobtitle", "value": "x"}`, problem("/property", "unknown-property", `there is no property "jobtitle"`)},
		{"a property of the system", `{"property": "created_at", "clear": true}`, problem("/property", "read-only-field", `the property "created_at" is set by the system`)},
		{"an unknown property to copy", `{"property": "job_title", "copy": "title"}`, problem("/copy", "unknown-property", `there is no property "title"`)},
		{"a text to increment", `{"property": "job_title", "increment": 1}`, problem("/increment", "wrong-type", "only a number can be incremented, job_title is a text")},
		{"an increment that is none", `{"property": "scheduling_pages", "increment": "one"}`, problem("/increment", "wrong-type", "scheduling_pages must be a number")},
		{"an increment of another type", `{"property": "scheduling_pages", "increment": true}`, problem("/increment", "wrong-type", "scheduling_pages must be a number")},
		{"a text to append to", `{"property": "job_title", "append": "x"}`, problem("", "wrong-type", "only a list can be appended to or removed from, job_title is a text")},
		{"no option to append", `{"property": "mood", "append": ["good", "so-so"]}`, problem("/append", "wrong-type", "good, bad")},
		{"no option in a list", `{"property": "mood", "value": ["so-so"]}`, problem("/value", "wrong-type", "good, bad")},
		{"a text for a number", `{"property": "scheduling_pages", "value": "many"}`, problem("/value", "wrong-type", "scheduling_pages must be a number")},
		{"a number for a text", `{"property": "job_title", "value": 3}`, problem("/value", "wrong-type", "job_title must be a text")},
		{"a text for clear", `{"property": "job_title", "clear": "yes"}`, problem("/clear", "wrong-type", "must be true or false, is a text")},
		{"an unknown field", `{"property": "job_title", "valeu": "x"}`, problem("/valeu", "unknown-field", `unknown field "valeu"; known are append, clear, copy, increment, property, remove, value`)},
		{"an unsettled value of another type", `{"property": "scheduling_pages", "value": "{{ event.pages }}"}`, nil},
		{"an unsettled increment", `{"property": "scheduling_pages", "increment": "{{ event.pages }}"}`, nil},
		{"an unsettled item", `{"property": "mood", "append": ["good", "{{ event.mood }}"]}`, nil},
		{"an unsettled item of a value", `{"property": "mood", "value": ["good", "{{ event.mood }}"]}`, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := check(t, "set_property", tt.with, mood)
			require.Len(t, got, len(tt.want))
			for i, want := range tt.want {
				require.Equal(t, want.Pointer, got[i].Pointer)
				require.Equal(t, want.Code, got[i].Code)
				require.Contains(t, got[i].Message, want.Message)
			}
		})
	}
}
