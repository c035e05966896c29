package postgres

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"rollcall/automation"
	"rollcall/filter"
)

// Published is a version made ready to use: its document, its program and its filters. It is
// immutable and shared.
type Published struct {
	Name     string // the definition's
	Number   int
	Document *automation.Document
	Program  automation.Program
	Outline  string // the steps in Markdown

	UsesOutputs bool // a template or a branch may speak of what an earlier step gave
	Triggers    []Trigger
	Unless      *filter.Filter // nobody is enrolled for whom it holds; nil: no such condition
	LeaveWhen   *filter.Filter // nobody stays, or is enrolled, for whom it holds; nil: no such condition

	stands []*filter.Filter            // of the filter triggers, one of which must go on to hold; nil where none must
	inside filter.Reads                // what can concern an enrolled user: conditions to leave, waits, dates that delays follow
	needs  filter.Needs                // of the conditions to leave and of waits
	timed  bool                        // whether time alone can make one leave, or end a wait
	arms   map[string][]*filter.Filter // by branch step; nil for the else
	awaits map[string][]Awaited        // by wait_for step

	business automation.LocalCalendar // of delays in business days, without a zone
	hours    automation.LocalCalendar // of the hours, without a zone
}

// Awaited is something that a step waits for, with its filters compiled.
type Awaited struct {
	Event string
	Where *filter.Filter // of an event; nil: any
	Holds *filter.Filter // nil: an event is waited for
}

// Trigger is a trigger of a published version with its filters compiled. Its Event is set where it listens
// to the deliveries to a hook, too.
type Trigger struct {
	automation.Trigger
	Holds *filter.Filter // of a filter trigger
	Where *filter.Filter // of an event trigger and of a schedule; nil when everybody is enrolled
}

// Bars says why a user must not be in the version at this moment; "" where nothing bars. The kind of
// the trigger that enrolled counts for one who is in; for one who is not, it is empty.
func (p *Published) Bars(s filter.Subject, trigger string) string {
	switch {
	case p.Unless != nil && p.Unless.Match(s):
		return "suppressed: enroll.unless holds"
	case p.LeaveWhen != nil && p.LeaveWhen.Match(s):
		return "unenroll.when holds"
	case trigger == filterTrigger && p.stopped(s):
		return "no filter trigger holds any more"
	}
	return ""
}

const filterTrigger = "filter"

// stopped reports whether a filter trigger should hold and none does.
func (p *Published) stopped(s filter.Subject) bool {
	return p.stands != nil && !slices.ContainsFunc(p.stands, func(f *filter.Filter) bool { return f.Match(s) })
}

// NextBar is when time alone may next bar a user whom nothing bars now; nil: never.
func (p *Published) NextBar(s filter.Subject) *time.Time {
	var next *time.Time
	for _, f := range p.conditions() {
		if at, ok := f.NextFlip(s); ok && (next == nil || at.Before(*next)) {
			next = &at
		}
	}
	return next
}

// conditions lists those that can make users leave.
func (p *Published) conditions() []*filter.Filter {
	all := append([]*filter.Filter{p.Unless, p.LeaveWhen}, p.stands...)
	return slices.DeleteFunc(all, func(f *filter.Filter) bool { return f == nil })
}

// Arm returns the position of the first arm of a branch that a subject takes.
func (p *Published) Arm(step string, s filter.Subject) (int, error) {
	for i, f := range p.arms[step] {
		if f == nil || f.Match(s) {
			return i, nil
		}
	}
	return 0, fmt.Errorf("branch %s of %s version %d: no arm: %w", step, p.Name, p.Number, automation.ErrInvalid)
}

type versionKey struct {
	definition string
	number     int
}

// Published returns a version. Returns ErrNotFound if there is none.
func (db *DB) Published(ctx context.Context, definition string, number int) (*Published, error) {
	return db.published(ctx, db.pool, definition, number)
}

func (db *DB) published(ctx context.Context, q querier, definition string, number int) (*Published, error) {
	key := versionKey{definition, number}
	db.cache.Lock()
	p := db.cache.byKey[key]
	db.cache.Unlock()
	if p != nil {
		return p, nil
	}
	var document json.RawMessage
	err := q.QueryRow(ctx, `select document from versions where definition = $1 and number = $2`, definition, number).Scan(&document)
	if err != nil {
		return nil, translate(err)
	}
	schema, err := propertiesOf(ctx, q)
	if err != nil {
		return nil, err
	}
	p, err = db.prepare(document, number, schema)
	if err != nil {
		return nil, fmt.Errorf("version %d of %s: %w", number, definition, err)
	}
	db.cache.Lock()
	db.cache.byKey[key] = p
	db.cache.Unlock()
	return p, nil
}

// Localized is a document that says where it reads local times: in the organisation's time zone where
// it says nothing itself.
func (s *settings) Localized(d *automation.Document) *automation.Document {
	local := *d
	local.TimeZone = cmp.Or(d.TimeZone, s.zone)
	return &local
}

func (s *settings) prepare(document []byte, number int, schema automation.Properties) (*Published, error) {
	d, err := automation.ParseDocument(document)
	if err != nil {
		return nil, err
	}
	d = s.Localized(d)
	p := &Published{
		Name: d.Name, Number: number, Document: d, Program: d.Compile(number, s.catalog),
		arms: map[string][]*filter.Filter{}, awaits: map[string][]Awaited{},
	}
	s.setCalendars(p)
	p.Outline = p.Program.Outline()
	p.UsesOutputs = slices.ContainsFunc([]string{"steps.", "steps[", `"step":`}, func(text string) bool { return bytes.Contains(document, []byte(text)) })
	compile := func(t *filter.Tree, event bool) *filter.Filter {
		if t == nil {
			return nil
		}
		scope := schema.Scope(event, d.TimeZone)
		scope.Steps = func(string) bool { return true } // validation has seen to it
		f, problems := filter.Compile(t, scope)
		if len(problems) > 0 && err == nil {
			err = automation.Invalid("a filter", problems)
		}
		return f
	}
	for _, t := range d.Triggers {
		t.Event = t.Hears()
		trigger := Trigger{Trigger: t, Holds: compile(t.Filter, false), Where: compile(t.Where, t.Event != "")}
		p.Triggers = append(p.Triggers, trigger)
		if trigger.Holds != nil && d.Unenroll.WhenTriggerStops {
			p.stands = append(p.stands, trigger.Holds)
		}
	}
	p.Unless, p.LeaveWhen = compile(d.Enroll.Unless, false), compile(d.Unenroll.When, false)
	for _, f := range p.conditions() {
		p.heeds(f)
	}
	for _, n := range p.Program.Nodes {
		step, _ := d.Step(n.ID)
		switch n.Kind {
		case automation.BranchStep:
			for _, arm := range step.Branch {
				p.arms[n.ID] = append(p.arms[n.ID], compile(arm.If, true))
			}
		case automation.WaitStep:
			for _, a := range step.WaitFor.Awaits() {
				p.await(n.ID, Awaited{a.Hears(), compile(a.Where, true), compile(a.Filter, false)})
			}
		case automation.DelayStep:
			p.inside.Join(filter.Reads{Properties: p.followed(step)})
		}
	}
	return p, err
}

// heeds makes a filter one whose answer matters to those who are enrolled.
func (p *Published) heeds(f *filter.Filter) {
	p.needs.Join(f.Needs())
	p.inside.Join(f.Reads())
	p.timed = p.timed || f.Timed()
}

func (p *Published) await(step string, a Awaited) {
	p.awaits[step] = append(p.awaits[step], a)
	if a.Holds != nil {
		p.heeds(a.Holds)
		return
	}
	p.inside.Join(filter.Reads{Events: []string{a.Event}})
	if a.Where != nil {
		p.needs.Join(a.Where.Needs())
	}
}

// followed lists the properties with which the end of a delay moves while somebody waits in it.
func (p *Published) followed(s *automation.Step) []string {
	var names []string
	if property := s.Delay.Reads(); property != "" {
		names = append(names, property)
	}
	if !s.Delay.Plain() && p.Document.TimeZone == filter.OwnZone {
		names = append(names, "time_zone")
	}
	return names
}

// attends reports whether something can concern those who are enrolled in the version.
func (p *Published) attends() bool {
	return len(p.conditions())+len(p.awaits) > 0 || len(p.inside.Properties) > 0
}

// setCalendars finds the days that are off: those of the country and those that the document lists.
func (s *settings) setCalendars(p *Published) {
	d := p.Document
	offIn := func(country string, more ...automation.DaysOff) automation.LocalCalendar {
		public := func(time.Time) bool { return false }
		if s.holidays != nil {
			if known, ok := s.holidays(country); ok {
				public = known
			}
		}
		return automation.LocalCalendar{DaysOff: func(day time.Time) bool {
			return public(day) || slices.ContainsFunc(more, func(l automation.DaysOff) bool { return l.Has(day) })
		}}
	}
	country := cmp.Or(d.Holidays, s.country)
	p.business = offIn(country, d.DaysOff)
	if d.Hours != nil {
		p.hours = offIn(cmp.Or(d.Hours.Holidays, country), d.DaysOff)
	}
}

// Versions lists the versions of a definition, newest first. Returns ErrNotFound if there is no
// such definition.
func (db *DB) Versions(ctx context.Context, definition string) ([]automation.Version, error) {
	if _, err := db.Definition(ctx, definition); err != nil {
		return nil, err
	}
	return collect[automation.Version](ctx, db.pool, `
		select definition as workflow, number, hash, document, published_at from versions
		where definition = $1 order by number desc`, definition)
}

// Version returns one version. Returns ErrNotFound if there is none.
func (db *DB) Version(ctx context.Context, definition string, number int) (*automation.Version, error) {
	v, err := one[automation.Version](ctx, db.pool, `
		select definition as workflow, number, hash, document, published_at from versions
		where definition = $1 and number = $2`, definition, number)
	return &v, err
}

// UnknownActions lists the kinds of actions that versions in use name and the catalog does not
// have: a binary without them must not run.
func (db *DB) UnknownActions(ctx context.Context) ([]string, error) {
	versions, err := versionsInUse(ctx, db.pool)
	if err != nil {
		return nil, err
	}
	var unknown []string
	for _, v := range versions {
		d, err := automation.ParseDocument(v.Document)
		if err != nil {
			return nil, fmt.Errorf("version %d of %s: %w", v.Number, v.Definition, err)
		}
		for _, kind := range d.Actions() {
			if _, known := db.catalog.Find(kind); !known && !slices.Contains(unknown, kind) {
				unknown = append(unknown, kind)
			}
		}
	}
	return unknown, nil
}

type versionInUse struct {
	Definition string
	Number     int
	Document   json.RawMessage
}

// versionsInUse lists the versions that may still be needed.
func versionsInUse(ctx context.Context, q querier) ([]versionInUse, error) {
	return collect[versionInUse](ctx, q, `
		select definition, number, document from versions v where `+inUse+` order by definition, number`)
}

// inUse is the condition on a version v that it enrolls, that items still wait to be asked of it, that
// live enrollments run on it or are to go on in it, or that a run or a firing may still enroll into it.
const inUse = `(live_until is null or live_until > (select coalesce(min(epoch), 9223372036854775807) from work_items)
	or exists (select 1 from enrollments e where e.definition = v.definition and e.version = v.number and e.ended_at is null)
	or exists (select 1 from runs r where r.definition = v.definition and r.version = v.number and r.ended_at is null)
	or exists (select 1 from interventions i join enrollments e on e.id = i.enrollment_id
		where i.kind = 'migrate' and i.outcome = '' and i.version = v.number and e.definition = v.definition and e.ended_at is null)
	or exists (select 1 from schedules s where s.definition = v.definition and s.version = v.number and s.accounted < s.live_until))`

// needless returns ErrInUse, naming them, where versions in use or drafts need a thing of a name; places
// says where a document does.
func needless(ctx context.Context, tx pgx.Tx, name string, places func(d *automation.Document, name string) []string) error {
	versions, err := versionsInUse(ctx, tx)
	if err != nil {
		return err
	}
	drafts, err := collect[versionInUse](ctx, tx, `
		select name as definition, 0 as number, draft as document from definitions
		where status <> 'archived' order by name`)
	if err != nil {
		return err
	}
	var needing []string
	for _, v := range append(versions, drafts...) {
		if !strings.Contains(string(v.Document), name) {
			continue
		}
		d, err := automation.ParseDocument(v.Document)
		if err != nil {
			return fmt.Errorf("version %d of %s: %w", v.Number, v.Definition, err)
		}
		switch at := places(d, name); {
		case len(at) > 0 && v.Number > 0:
			needing = append(needing, fmt.Sprintf("version %d of workflow %s at %s", v.Number, v.Definition, at[0]))
		case len(at) > 0:
			needing = append(needing, fmt.Sprintf("the draft of workflow %s at %s", v.Definition, at[0]))
		}
	}
	if len(needing) > 0 {
		return fmt.Errorf("needed by %s: %w", strings.Join(needing, ", "), automation.ErrInUse)
	}
	return nil
}
