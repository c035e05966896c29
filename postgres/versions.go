package postgres

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"

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

	UsesOutputs bool // a template may speak of what an earlier step gave
	Triggers    []Trigger

	arms map[string][]*filter.Filter // by branch step; nil for the else
}

// Trigger is a trigger of a published version with its filters compiled.
type Trigger struct {
	automation.Trigger
	Holds *filter.Filter // of a filter trigger
	Where *filter.Filter // of an event trigger; nil when every event enrolls
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
	p, err = prepare(document, number, db.catalog, schema)
	if err != nil {
		return nil, fmt.Errorf("version %d of %s: %w", number, definition, err)
	}
	db.cache.Lock()
	db.cache.byKey[key] = p
	db.cache.Unlock()
	return p, nil
}

func prepare(document []byte, number int, catalog automation.Catalog, schema automation.Properties) (*Published, error) {
	d, err := automation.ParseDocument(document)
	if err != nil {
		return nil, err
	}
	p := &Published{
		Name: d.Name, Number: number, Document: d, Program: d.Compile(number, catalog),
		arms: map[string][]*filter.Filter{},
	}
	p.Outline = p.Program.Outline()
	p.UsesOutputs = bytes.Contains(document, []byte("steps.")) || bytes.Contains(document, []byte("steps["))
	zone := d.Zone()
	compile := func(t *filter.Tree, event bool) *filter.Filter {
		if t == nil {
			return nil
		}
		f, problems := filter.Compile(t, schema.Scope(event, zone))
		if len(problems) > 0 && err == nil {
			err = automation.Invalid("a filter", problems)
		}
		return f
	}
	for _, t := range d.Triggers {
		p.Triggers = append(p.Triggers, Trigger{Trigger: t, Holds: compile(t.Filter, false), Where: compile(t.Where, true)})
	}
	for _, n := range p.Program.Nodes {
		if n.Kind != automation.BranchStep {
			continue
		}
		step, _ := d.Step(n.ID)
		for _, arm := range step.Branch {
			p.arms[n.ID] = append(p.arms[n.ID], compile(arm.If, true))
		}
	}
	return p, err
}

// LiveSet is the versions that were live in one epoch, indexed by what can concern them.
type LiveSet struct {
	Epoch      int64
	ByEvent    map[string][]TriggerRef
	ByProperty map[string][]TriggerRef // filter triggers that read the property
	Filters    []TriggerRef            // all filter triggers
}

// TriggerRef is one trigger of one live version.
type TriggerRef struct {
	*Published
	Trigger int
}

// live returns the versions that were live in an epoch. Neither they nor what they mean ever changes,
// because no property changes under a version in use, so they are kept.
func (db *DB) live(ctx context.Context, q querier, epoch int64) (*LiveSet, error) {
	db.cache.Lock()
	set := db.cache.live[epoch]
	db.cache.Unlock()
	if set != nil {
		return set, nil
	}
	keys, err := collect[struct {
		Definition string
		Number     int
	}](ctx, q, `
		select definition, number from versions
		where live_from <= $1 and (live_until is null or live_until > $1) order by definition`, epoch)
	if err != nil {
		return nil, err
	}
	set = &LiveSet{Epoch: epoch, ByEvent: map[string][]TriggerRef{}, ByProperty: map[string][]TriggerRef{}}
	for _, k := range keys {
		p, err := db.published(ctx, q, k.Definition, k.Number)
		if err != nil {
			return nil, err
		}
		set.add(p)
	}
	db.cache.Lock()
	defer db.cache.Unlock()
	for old := range db.cache.live {
		if old < epoch-8 {
			delete(db.cache.live, old)
		}
	}
	db.cache.live[epoch] = set
	return set, nil
}

// newestLive returns the live versions of the newest epoch that this process has seen, which may be
// behind by now.
func (db *DB) newestLive(ctx context.Context) (*LiveSet, error) {
	db.cache.Lock()
	var newest *LiveSet
	for _, set := range db.cache.live {
		if newest == nil || set.Epoch > newest.Epoch {
			newest = set
		}
	}
	db.cache.Unlock()
	if newest != nil {
		return newest, nil
	}
	var epoch int64
	if err := db.pool.QueryRow(ctx, `select epoch from publication`).Scan(&epoch); err != nil {
		return nil, translate(err)
	}
	return db.live(ctx, db.pool, epoch)
}

// concerned reports whether a trigger can match these changes and events of one user.
func (s *LiveSet) concerned(changed []string, events []automation.Event) bool {
	for _, e := range events {
		if len(s.ByEvent[e.Name]) > 0 || e.Name == automation.EventUserCreated && len(s.Filters) > 0 {
			return true
		}
	}
	return slices.ContainsFunc(changed, func(name string) bool { return len(s.ByProperty[name]) > 0 })
}

func (s *LiveSet) add(p *Published) {
	for i, t := range p.Triggers {
		ref := TriggerRef{p, i}
		switch t.Kind() {
		case "event":
			s.ByEvent[t.Event] = append(s.ByEvent[t.Event], ref)
		case "filter":
			s.Filters = append(s.Filters, ref)
			for _, name := range t.Filter.Properties() {
				s.ByProperty[name] = append(s.ByProperty[name], ref)
			}
		}
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

// versionsInUse lists the versions that enroll, that items still wait to be asked of, or that live
// enrollments run on.
func versionsInUse(ctx context.Context, q querier) ([]versionInUse, error) {
	return collect[versionInUse](ctx, q, `
		select definition, number, document from versions v where live_until is null
		or live_until > (select min(epoch) from work_items)
		or exists (select 1 from enrollments e where e.definition = v.definition and e.version = v.number
		           and e.status in ('held', 'pending', 'active'))
		order by definition, number`)
}
