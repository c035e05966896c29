package automation

import (
	"encoding/json"
	"math"
	"regexp"
	"strconv"
	"time"

	"rollcall/filter"
	"rollcall/strictjson"
)

// DefinitionStatus is the state of a definition's life.
type DefinitionStatus string

// The states of a definition.
const (
	Draft    DefinitionStatus = "draft"    // never published
	Live     DefinitionStatus = "live"     // enrolls
	Paused   DefinitionStatus = "paused"   // enrolls, but no action starts
	Archived DefinitionStatus = "archived" // enrolls nobody any more
)

// Definition is a workflow as its author sees it: the draft and the life of its versions.
type Definition struct {
	Name        string           `json:"name"`
	Title       string           `json:"title"`
	Status      DefinitionStatus `json:"status"`
	LiveVersion int              `json:"live_version,omitempty"` // the version that enrolls; 0 when none does
	Draft       json.RawMessage  `json:"draft"`                  // the document as last saved
	DraftHash   string           `json:"draft_hash"`
	CreatedAt   time.Time        `json:"created_at"`
	UpdatedAt   time.Time        `json:"updated_at"`
}

// Document is what an author writes: one file per workflow.
type Document struct {
	Name        string    `json:"name"`                  // slug; the workflow's id for ever
	Title       string    `json:"title,omitempty"`       // what people read
	Description string    `json:"description,omitempty"` // what it is for
	TimeZone    string    `json:"time_zone,omitempty"`   // IANA name, or "user" for each user's own; default UTC
	Triggers    []Trigger `json:"triggers"`              // any of them enrolls
	Enroll      Enroll    `json:"enroll,omitzero"`       // who may be enrolled, and how often
	Unenroll    Unenroll  `json:"unenroll,omitzero"`     // who is taken out before the end
	Guard       *Guard    `json:"guard,omitempty"`       // how many enrollments at once are held for approval
	Holidays    string    `json:"holidays,omitempty"`    // a country, whose holidays are no business days; default the organisation's
	DaysOff     DaysOff   `json:"days_off,omitempty"`    // more days that are no business days
	Hours       *Hours    `json:"hours,omitempty"`       // when actions may start
	Steps       []Step    `json:"steps"`                 // what happens, in order
}

// Trigger is one way into a workflow: exactly one of Event, Webhook, Filter, Schedule and Manual is set.
type Trigger struct {
	Event    string       `json:"event,omitempty"`    // the name of an event that enrolls its user
	Webhook  string       `json:"webhook,omitempty"`  // the name of a hook: a delivery to it enrolls the user whom it names
	Filter   *filter.Tree `json:"filter,omitempty"`   // enrolls when it starts to hold
	Schedule *Schedule    `json:"schedule,omitempty"` // enrolls at each firing
	Manual   bool         `json:"manual,omitempty"`   // enrolls on request only
	Where    *filter.Tree `json:"where,omitempty"`    // asked of the user, and of the event, at the moment of the event or of the firing
}

// Hears is the name of the event that the trigger listens to; "" where it listens to none.
func (t Trigger) Hears() string { return heardAs(t.Event, t.Webhook) }

// heardAs is the event of a document that says its name, or the hook whose deliveries become it.
func heardAs(event, hook string) string {
	if hook != "" {
		return HookEvent(hook)
	}
	return event
}

// Kind names the kind of trigger: "event", "webhook", "filter", "schedule" or "manual".
func (t Trigger) Kind() string {
	switch {
	case t.Webhook != "":
		return "webhook"
	case t.Event != "":
		return "event"
	case t.Filter != nil:
		return "filter"
	case t.Schedule != nil:
		return "schedule"
	default:
		return "manual"
	}
}

// Enroll says who may be enrolled and how often.
type Enroll struct {
	Again  Again        `json:"again,omitzero"`
	Unless *filter.Tree `json:"unless,omitempty"` // nobody is enrolled for whom it holds; who is in leaves when it comes to hold
}

// Unenroll says who is taken out before the end, at once, in the middle of a delay too.
type Unenroll struct {
	When             *filter.Tree `json:"when,omitempty"`               // leaves when it comes to hold; who it holds for is not enrolled
	WhenTriggerStops bool         `json:"when_trigger_stops,omitempty"` // who was enrolled by a filter leaves when no filter trigger holds any more
}

// Guard holds enrollments for an operator's approval that are more than usual. Each limit counts the
// enrollments of the definition within the last hour; zero is no limit.
type Guard struct {
	MaxPerHour int   `json:"max_per_hour,omitempty"`
	MaxShare   Share `json:"max_share,omitempty"` // of all users
}

// Share is a part of a whole, from 0 to 1; people write it in percent: "20%".
type Share float64

var percent = regexp.MustCompile(`^(\d{1,3}(?:\.\d{1,3})?)%$`)

// DecodeJSON reads the form "20%".
func (s *Share) DecodeJSON(v any, pointer string, p *strictjson.Problems) {
	text, _ := v.(string)
	parts := percent.FindStringSubmatch(text)
	if parts == nil {
		p.Add(pointer, "share-invalid", `a share is a text such as "20%%"`)
		return
	}
	n, _ := strconv.ParseFloat(parts[1], 64) // cannot fail: the expression takes nothing else
	if n <= 0 || n > 100 {
		p.Add(pointer, "share-invalid", "a share is more than 0%% and at most 100%%")
	}
	*s = Share(n / 100)
}

// String writes the form that DecodeJSON reads.
func (s Share) String() string {
	return strconv.FormatFloat(math.Round(float64(s)*1e5)/1e3, 'f', -1, 64) + "%"
}

// MarshalText writes the form that DecodeJSON reads.
func (s Share) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Limit is how many enrollments within an hour the guard lets through, of so many users; nil is any
// number.
func (g *Guard) Limit(users int) *int {
	if g == nil {
		return nil
	}
	var limit *int
	for _, l := range []struct {
		set bool
		n   int
	}{{g.MaxPerHour > 0, g.MaxPerHour}, {g.MaxShare > 0, max(1, int(float64(g.MaxShare)*float64(users)+1e-9))}} {
		if l.set && (limit == nil || l.n < *limit) {
			limit = &l.n
		}
	}
	return limit
}

// Again is when a user who was enrolled before may be enrolled once more. The zero value is never.
type Again struct {
	Every bool     // at every trigger
	After Duration // this long after the last enrollment began
}

// DecodeJSON reads "never", "every_trigger" or {"after": "30d"}.
func (a *Again) DecodeJSON(v any, pointer string, p *strictjson.Problems) {
	switch v := v.(type) {
	case string:
		switch v {
		case "never":
			return
		case "every_trigger":
			a.Every = true
			return
		}
	case map[string]any:
		var after struct {
			After *Duration `json:"after"`
		}
		before := len(*p)
		strictjson.Decode(v, pointer, &after, p)
		if len(*p) > before {
			return
		}
		if after.After != nil && *after.After > 0 {
			a.After = *after.After
			return
		}
	}
	p.Add(pointer, "again-invalid", `must be "never", "every_trigger" or {"after": "30d"}`)
}

// MarshalJSON writes the form that DecodeJSON reads.
func (a Again) MarshalJSON() ([]byte, error) {
	switch {
	case a.Every:
		return json.Marshal("every_trigger")
	case a.After > 0:
		return json.Marshal(map[string]Duration{"after": a.After})
	default:
		return json.Marshal("never")
	}
}

// Allows says whether a user who was last enrolled at that time may be enrolled now.
func (a Again) Allows(last, now time.Time) bool {
	return a.Every || a.After > 0 && !now.Before(last.Add(time.Duration(a.After)))
}
