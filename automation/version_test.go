package automation_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rollcall/automation"
)

func TestCompile(t *testing.T) {
	t.Parallel()
	const team = `"if": {"property": "team", "op": "known"}`
	for _, tt := range []struct {
		name, steps, start string
		want               []automation.Node
	}{
		{
			"steps follow one another to the end",
			`{"id": "a", "title": "First", "action": "beep", "with": {"to": "x"}}, {"id": "b", "delay": "2m"}, {"id": "c", "action": "log"}`, "a",
			[]automation.Node{
				{ID: "a", Kind: "action", Title: "First", Action: "beep", FirstTry: 2 * time.Second, Next: "b"},
				{ID: "b", Kind: "delay", Delay: automation.Duration(2 * time.Minute), Next: "c"},
				{ID: "c", Kind: "action", Action: "log"},
			},
		},
		{
			"the arms of a branch join behind it",
			`{"id": "a", "branch": [{` + team + `, "steps": [{"id": "b", "action": "log"}, {"id": "c", "action": "log"}]}, {"else": true, "steps": [{"id": "d", "action": "log"}]}]}, {"id": "e", "action": "log"}`, "a",
			[]automation.Node{
				{ID: "a", Kind: "branch", Arms: []string{"b", "d"}, Next: "e"},
				{ID: "b", Kind: "action", Action: "log", Next: "c"},
				{ID: "c", Kind: "action", Action: "log", Next: "e"},
				{ID: "d", Kind: "action", Action: "log", Next: "e"},
				{ID: "e", Kind: "action", Action: "log"},
			},
		},
		{
			"an empty arm leads behind the branch",
			`{"id": "a", "branch": [{` + team + `, "steps": []}, {"else": true}]}, {"id": "b", "action": "log"}`, "a",
			[]automation.Node{
				{ID: "a", Kind: "branch", Arms: []string{"b", "b"}, Next: "b"},
				{ID: "b", Kind: "action", Action: "log"},
			},
		},
		{
			"an empty arm of the last step leads to the end",
			`{"id": "a", "branch": [{` + team + `, "steps": [{"id": "b", "action": "log"}]}, {"else": true}]}`, "a",
			[]automation.Node{
				{ID: "a", Kind: "branch", Arms: []string{"b", ""}},
				{ID: "b", Kind: "action", Action: "log"},
			},
		},
		{
			"an exit in an arm ends there",
			`{"id": "a", "branch": [{` + team + `, "steps": [{"id": "b", "exit": {"reason": "known"}}]}, {"else": true}]}, {"id": "c", "exit": {}}`, "a",
			[]automation.Node{
				{ID: "a", Kind: "branch", Arms: []string{"b", "c"}, Next: "c"},
				{ID: "b", Kind: "exit", Reason: "known"},
				{ID: "c", Kind: "exit"},
			},
		},
		{
			"a branch at the end of an arm joins behind the outer one",
			`{"id": "a", "branch": [{` + team + `, "steps": [{"id": "b", "branch": [{` + team + `, "steps": [{"id": "c", "action": "log"}]}, {"else": true}]}]}, {"else": true}]}, {"id": "d", "action": "log"}`, "a",
			[]automation.Node{
				{ID: "a", Kind: "branch", Arms: []string{"b", "d"}, Next: "d"},
				{ID: "b", Kind: "branch", Arms: []string{"c", "d"}, Next: "d"},
				{ID: "c", Kind: "action", Action: "log", Next: "d"},
				{ID: "d", Kind: "action", Action: "log"},
			},
		},
		{
			"a branch inside an arm joins in the arm",
			`{"id": "a", "branch": [{` + team + `, "steps": [{"id": "b", "branch": [{"else": true}]}, {"id": "c", "action": "log"}]}, {"else": true}]}`, "a",
			[]automation.Node{
				{ID: "a", Kind: "branch", Arms: []string{"b", ""}},
				{ID: "b", Kind: "branch", Arms: []string{"c"}, Next: "c"},
				{ID: "c", Kind: "action", Action: "log"},
			},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			d := parse(t, `{"name": "flow", "title": "Flow", "time_zone": "user", "triggers": [{"manual": true}], "steps": [`+tt.steps+`]}`)
			require.Equal(t, automation.Program{
				Definition: "flow", Version: 3, Title: "Flow", TimeZone: "user", Start: tt.start, Nodes: tt.want,
			}, d.Compile(3, catalog()))
		})
	}
}

func TestProgramFindsItsNodes(t *testing.T) {
	t.Parallel()
	p := parse(t, document(`{"manual": true}`, `{"id": "a", "delay": "1m"}, {"id": "b", "action": "log"}`)).Compile(1, catalog())
	node, ok := p.Node("b")
	require.True(t, ok)
	require.Equal(t, &automation.Node{ID: "b", Kind: automation.ActionStep, Action: "log"}, node)
	_, ok = p.Node("c")
	require.False(t, ok)
}

func TestProgramSurvivesItsJSON(t *testing.T) {
	t.Parallel()
	p := parse(t, document(`{"manual": true}`, `{"id": "a", "delay": "36h"}, {"id": "b", "branch": [{"else": true}]}, {"id": "c", "action": "beep", "with": {"to": "x"}}`)).Compile(2, catalog())
	text, err := json.Marshal(p)
	require.NoError(t, err)
	var back automation.Program
	require.NoError(t, json.Unmarshal(text, &back))
	require.Equal(t, p, back)
}

func TestATitleIsTheNameWhereThereIsNone(t *testing.T) {
	t.Parallel()
	require.Equal(t, "a", parse(t, document(`{"manual": true}`, `{"action": "log"}`)).DisplayTitle())
	require.Equal(t, "T", parse(t, `{"name": "a", "title": "T", "triggers": [{"manual": true}], "steps": [{"action": "log"}]}`).DisplayTitle())
}

func TestNormal(t *testing.T) {
	t.Parallel()
	text, hash, err := parse(t, `{"steps": [{"delay": "24h"}], "triggers": [{"manual": true}], "name": "a", "enroll": {"again": "never"}}`).Normal()
	require.NoError(t, err)
	require.JSONEq(t, `{"name":"a","triggers":[{"manual":true}],"steps":[{"id":"delay_1","delay":"1d"}]}`, string(text))
	require.Equal(t, "63707cb6b45314eec4d98328d4bf810b", hash)
}

func TestDocumentsOfEqualMeaningHaveOneHash(t *testing.T) {
	t.Parallel()
	hash := func(text string) string {
		_, hash, err := parse(t, text).Normal()
		require.NoError(t, err)
		return hash
	}
	want := hash(`{"name": "a", "triggers": [{"manual": true}], "steps": [{"id": "delay_1", "delay": "1d"}]}`)
	require.Len(t, want, 32)
	require.Equal(t, want, hash("{ \"steps\": [{\"delay\": \"24h\"}],\n \"triggers\": [{\"manual\": true}], \"name\": \"\\u0061\" }"))
	require.Equal(t, want, hash(`{"name": "a", "enroll": {"again": "never"}, "triggers": [{"manual": true, "where": null}], "steps": [{"delay": "1440m"}]}`))
	require.NotEqual(t, want, hash(`{"name": "a", "triggers": [{"manual": true}], "steps": [{"id": "delay_1", "delay": "2d"}]}`))
	require.NotEqual(t, want, hash(`{"name": "a", "triggers": [{"manual": true}], "steps": [{"id": "wait", "delay": "1d"}]}`))
}

func TestEffectKeyIsStable(t *testing.T) {
	t.Parallel()
	require.Equal(t, "burkmub6hxv4lw3avlam6mq4rt6zxak7", automation.EffectKey("0198c3f2-7a4e-7c11-8a55-3d1f0a9b2c4d", "hello", 1))
}

func TestEffectKeysDiffer(t *testing.T) {
	t.Parallel()
	keys := map[string]bool{}
	for _, key := range []string{
		automation.EffectKey("e", "hello", 1), automation.EffectKey("e", "hello", 2), automation.EffectKey("e", "hell", 1),
		automation.EffectKey("f", "hello", 1), automation.EffectKey("e", "hello1", 1), automation.EffectKey("eh", "ello", 1),
	} {
		require.Regexp(t, `^[a-z2-7]{32}$`, key)
		keys[key] = true
	}
	require.Len(t, keys, 6)
}

func TestTemporalWorkflowIDIsReadable(t *testing.T) {
	t.Parallel()
	require.Equal(t, "welcome/u_42/3", automation.TemporalWorkflowID("welcome", "u_42", 3))
}

func TestLiveStatuses(t *testing.T) {
	t.Parallel()
	live := map[automation.EnrollmentStatus]bool{}
	for _, status := range []automation.EnrollmentStatus{
		automation.Held, automation.Pending, automation.Active, automation.Completed, automation.Unenrolled, automation.Failed,
	} {
		live[status] = status.Live()
	}
	require.Equal(t, map[automation.EnrollmentStatus]bool{
		"held": true, "pending": true, "active": true, "completed": false, "unenrolled": false, "failed": false,
	}, live)
}

func TestCatalogFindsKinds(t *testing.T) {
	t.Parallel()
	require.Equal(t, []string{"beep", "log"}, catalog().Kinds())
	kind, ok := catalog().Find("log")
	require.True(t, ok)
	require.Equal(t, "Log", kind.Title)
	_, ok = catalog().Find("lo")
	require.False(t, ok)
}
