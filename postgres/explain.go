package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"rollcall/automation"
	"rollcall/filter"
)

// Explanation is why a user was or was not enrolled in a workflow at an instant, from what was
// recorded by then.
type Explanation struct {
	User       string             `json:"user"`
	Workflow   string             `json:"workflow"`
	At         time.Time          `json:"at"`
	Version    int                `json:"version,omitempty" doc:"The version that was live; 0 when none was."`
	Verdict    string             `json:"verdict" enum:"enrolled,not_enrolled"`
	Reason     string             `json:"reason" doc:"Why, in one sentence."`
	Enrollment *string            `json:"enrollment,omitempty" doc:"The enrollment that the verdict speaks of."`
	Decision   *Decision          `json:"decision,omitempty" doc:"What was decided last."`
	Triggers   []ExplainedTrigger `json:"triggers"`
	Unless     *ExplainedFilter   `json:"unless,omitempty" doc:"What enroll.unless answered."`
	When       *ExplainedFilter   `json:"when,omitempty" doc:"What unenroll.when answered."`
	Again      ExplainedAgain     `json:"again"`
}

// ExplainedFilter is what a filter answered.
type ExplainedFilter struct {
	Matched bool            `json:"matched"`
	Trace   []filter.Answer `json:"trace"`
}

// ExplainedTrigger is what a trigger answered.
type ExplainedTrigger struct {
	Trigger int               `json:"trigger" doc:"Its position."`
	Kind    string            `json:"kind"`
	Event   *automation.Event `json:"event,omitempty" doc:"The last event of its name by then, while the version was live."`
	Since   *time.Time        `json:"since,omitempty" doc:"Since when a filter has had this answer; at the earliest since the version was published or the user created."`
	ExplainedFilter
}

// ExplainedAgain is what the rule for enrolling again said.
type ExplainedAgain struct {
	Rule         automation.Again `json:"rule"`
	LastEnrolled *time.Time       `json:"last_enrolled,omitempty"`
	Allowed      bool             `json:"allowed" doc:"Whether the rule allowed to enroll the user then."`
}

// Explain reconstructs why a user was or was not enrolled at an instant that is not in the future. It
// returns ErrNotFound for an unknown definition and ErrUnknownUser for a user who does not exist any
// more: what is known about one who was deleted is gone.
func (db *DB) Explain(ctx context.Context, definition, userID string, at time.Time) (*Explanation, error) {
	if _, err := db.Definition(ctx, definition); err != nil {
		return nil, err
	}
	if _, err := db.User(ctx, userID); err != nil {
		if errors.Is(err, automation.ErrNotFound) {
			return nil, automation.ErrUnknownUser
		}
		return nil, err
	}
	x := explaining{DB: db, out: &Explanation{
		User: userID, Workflow: definition, At: at.UTC(), Verdict: "not_enrolled", Triggers: []ExplainedTrigger{},
	}}
	if err := x.read(ctx); err != nil {
		return nil, err
	}
	if x.version != nil && x.existed() {
		if err := x.ask(ctx); err != nil {
			return nil, err
		}
	}
	x.judge()
	return x.out, nil
}

// explaining is what is known for one explanation.
type explaining struct {
	*DB
	out       *Explanation
	version   *Published // that was live; nil when none was
	published time.Time  // when it was
	life      life
	record    *record
	decided   *Decision
	passages  []automation.Enrollment // in the definition, that had begun by then, newest first
}

func (x *explaining) existed() bool { return len(x.life.changes) > 0 }

// read finds what was recorded by the instant.
func (x *explaining) read(ctx context.Context) error {
	o := x.out
	versions, err := collect[struct {
		Number      int
		PublishedAt time.Time
	}](ctx, x.pool, `
		select number, published_at from versions
		where definition = $1 and published_at <= $2 and (retired_at is null or retired_at > $2)`, o.Workflow, o.At)
	if err != nil {
		return err
	}
	if len(versions) > 0 {
		o.Version, x.published = versions[0].Number, versions[0].PublishedAt.UTC()
		if x.version, err = x.Published(ctx, o.Workflow, o.Version); err != nil {
			return err
		}
	}
	if x.life.changes, err = collect[changeRow](ctx, x.pool, `
		select id, property, old, new, at, source from changes where user_id = $1 and at <= $2 order by id`, o.User, o.At); err != nil {
		return err
	}
	if x.passages, err = collect[automation.Enrollment](ctx, x.pool, `
		select `+enrollmentColumns+` from enrollments
		where definition = $1 and user_id = $2 and created_at <= $3 and (not rejected or ended_at > $3) order by ordinal desc`, o.Workflow, o.User, o.At); err != nil {
		return err
	}
	decisions, err := collect[Decision](ctx, x.pool, `
		select definition as workflow, version, user_id, at, trigger, outcome, reason, enrollment_id::text
		from decisions where definition = $1 and user_id = $2 and at <= $3 order by id desc limit 1`, o.Workflow, o.User, o.At)
	if len(decisions) > 0 {
		x.decided, o.Decision = &decisions[0], &decisions[0]
	}
	return err
}

// ask asks all filters of the version as of the instant.
func (x *explaining) ask(ctx context.Context) error {
	o := x.out
	needs := x.version.allNeeds().Unlimited() // the newest by then, not by now
	horizon := moment{o.User, present(o.User, o.At).upTo, x.published}
	records, err := x.records(ctx, x.pool, needs, []moment{horizon})
	if err != nil {
		return err
	}
	x.record = records[o.User]
	now := x.subject(o.At)
	explained := func(f *filter.Filter) *ExplainedFilter {
		if f == nil {
			return nil
		}
		matched, trace := f.Trace(now)
		return &ExplainedFilter{matched, trace}
	}
	o.Unless, o.When = explained(x.version.Unless), explained(x.version.LeaveWhen)
	for i, t := range x.version.Triggers {
		e := ExplainedTrigger{Trigger: i, Kind: t.Kind(), ExplainedFilter: ExplainedFilter{Trace: []filter.Answer{}}}
		switch {
		case t.Holds != nil:
			e.ExplainedFilter = *explained(t.Holds)
			since := x.since(t.Holds)
			e.Since = &since
		case t.Event != "":
			if err := x.heard(ctx, t, &e); err != nil {
				return err
			}
		case t.Schedule != nil && t.Where != nil:
			e.ExplainedFilter = *explained(t.Where)
		case t.Schedule != nil:
			e.Matched = true
		}
		o.Triggers = append(o.Triggers, e)
	}
	o.Again = ExplainedAgain{Rule: x.version.Document.Enroll.Again, Allowed: true}
	if len(x.passages) > 0 {
		last := x.passages[0].CreatedAt
		o.Again.LastEnrolled, o.Again.Allowed = &last, o.Again.Rule.Allows(last, o.At)
	}
	return nil
}

// allNeeds is what of the past all filters of the version ask for.
func (p *Published) allNeeds() filter.Needs {
	needs := needsOf(p.Unless, p.LeaveWhen)
	for _, t := range p.Triggers {
		needs.Join(needsOf(t.Holds, t.Where))
	}
	return needs
}

// subject is the user as of an instant.
func (x *explaining) subject(at time.Time) filter.Subject {
	return filter.Subject{User: x.life.properties(at), Now: at, Past: x.record.asOf(at)}
}

// heard finds the last event that a trigger listened to, and what its condition answered then.
func (x *explaining) heard(ctx context.Context, t Trigger, e *ExplainedTrigger) error {
	event, received, err := x.lastEvent(ctx, t)
	if err != nil || event == nil {
		return err
	}
	e.Event, e.Matched = event, true
	if t.Where != nil {
		s := x.subject(received)
		s.Event = event.Properties
		e.Matched, e.Trace = t.Where.Trace(s)
	}
	return nil
}

// lastEvent is the last event of a trigger's name; of several at one moment one that matches.
func (x *explaining) lastEvent(ctx context.Context, t Trigger) (*automation.Event, time.Time, error) {
	if t.Event == automation.EventUserUpdated || t.Event == automation.EventPropertyChanged {
		events, at := x.life.lastChange(x.out.User, x.published)
		var last *automation.Event
		for i := range events {
			if events[i].Name != t.Event {
				continue
			}
			last = &events[i]
			s := x.subject(at)
			s.Event = last.Properties
			if t.Where == nil || t.Where.Match(s) {
				break
			}
		}
		return last, at, nil
	}
	row, err := one[struct {
		ID, Name               string
		OccurredAt, ReceivedAt time.Time
		Properties             map[string]any
	}](ctx, x.pool, `
		select id, name, occurred_at, received_at, properties from events
		where user_id = $1 and name = $2 and received_at between $3 and $4 order by seq desc limit 1`,
		x.out.User, t.Event, x.published, x.out.At)
	if errors.Is(err, automation.ErrNotFound) {
		return nil, time.Time{}, nil
	}
	return &automation.Event{
		ID: row.ID, Name: row.Name, UserID: x.out.User, OccurredAt: row.OccurredAt.UTC(), Properties: row.Properties,
	}, row.ReceivedAt.UTC(), err
}

// judge says the verdict and why.
func (x *explaining) judge() {
	o := x.out
	if len(x.passages) > 0 {
		if p := &x.passages[0]; p.EndedAt == nil || p.EndedAt.After(o.At) {
			o.Enrollment = &p.ID
			if p.Status == automation.Held || p.HeldUntil != nil && p.HeldUntil.After(o.At) {
				o.Reason = fmt.Sprintf("held for approval since %s: the guard let no more through", shownAt(p.CreatedAt))
				return
			}
			o.Verdict = "enrolled"
			o.Reason = fmt.Sprintf("enrolled since %s %s", shownAt(p.CreatedAt), x.by(p))
			return
		}
	}
	if x.decided != nil && (x.decided.Outcome != "refused" || x.decided.Reason == refusedInside) && len(x.passages) > 0 {
		p := &x.passages[0]
		o.Verdict, o.Enrollment = "enrolled", &p.ID
		o.Reason = fmt.Sprintf("enrolled at %s %s, %s at %s", shownAt(p.CreatedAt), x.by(p), p.Status, shownAt(*p.EndedAt))
		if p.Reason != "" {
			o.Reason += ": " + p.Reason
		}
		return
	}
	o.Reason = x.whyNot()
}

// by says what enrolled.
func (x *explaining) by(p *automation.Enrollment) string {
	return fmt.Sprintf("by %s, in version %d", p.Trigger, p.Version)
}

func (x *explaining) whyNot() string {
	switch {
	case !x.existed():
		return "the user did not exist"
	case x.decided != nil && x.decided.Outcome == "held":
		return fmt.Sprintf("held for approval at %s, and not approved", shownAt(x.decided.At))
	case x.decided != nil && x.version == nil:
		return fmt.Sprintf("no version was live; refused at %s: %s", shownAt(x.decided.At), x.decided.Reason)
	case x.decided != nil:
		why := fmt.Sprintf("refused at %s: %s", shownAt(x.decided.At), x.decided.Reason)
		if !slices.ContainsFunc(x.out.Triggers, func(t ExplainedTrigger) bool { return t.Matched }) {
			why = "no trigger matched" + whyNoTrigger(x.out.Triggers) + "; when one did, the user was " + why
		}
		return why
	case x.version == nil:
		return "no version was live"
	}
	for _, t := range x.out.Triggers {
		if !t.Matched || t.Kind == "schedule" { // whose firings leave decisions
			continue
		}
		if t.Since != nil && !t.Since.After(x.published) {
			return fmt.Sprintf("trigger %d (filter) held already when version %d was published at %s, and those for whom it held were not enrolled then",
				t.Trigger, x.out.Version, shownAt(x.published))
		}
		return fmt.Sprintf("trigger %d (%s) matched, and was not evaluated yet", t.Trigger, t.Kind)
	}
	return "no trigger matched" + whyNoTrigger(x.out.Triggers)
}

func shownAt(at time.Time) string { return at.UTC().Format("2006-01-02 15:04:05 MST") }
