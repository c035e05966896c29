package postgres

import (
	"context"
	"time"

	"rollcall/automation"
)

// settings is how documents are read.
type settings struct {
	catalog  automation.Catalog
	zone     string
	country  string
	holidays func(country string) (func(day time.Time) bool, bool)
}

func (c Config) settings() settings { return settings{c.Catalog, c.TimeZone, c.Country, c.Holidays} }

// Prepare makes a document ready to use that nobody has published, as version 1. It needs no database.
// It returns an *InvalidError for one that could not be published.
func (c Config) Prepare(d *automation.Document, schema automation.Properties) (*Published, error) {
	s := c.settings()
	return s.publishable(d, 1, schema)
}

// judge returns an *InvalidError for a document that could not be published.
func (s *settings) judge(d *automation.Document, schema automation.Properties) error {
	return automation.Invalid("the workflow", d.Validate(s.catalog, schema))
}

// publishable is a document made ready to use as a version. It returns an *InvalidError for one that
// could not be published.
func (s *settings) publishable(d *automation.Document, number int, schema automation.Properties) (*Published, error) {
	if err := s.judge(d, schema); err != nil {
		return nil, err
	}
	text, _, err := d.Normal()
	if err != nil {
		return nil, err
	}
	return s.prepare(text, number, schema)
}

// Prepare makes a document ready to use that nobody has published, and returns the properties that users
// have too. It stores nothing. Errors are those of Config.Prepare.
func (db *DB) Prepare(ctx context.Context, d *automation.Document) (*Published, automation.Properties, error) {
	schema, err := db.Properties(ctx)
	if err != nil {
		return nil, nil, err
	}
	known, err := db.knowing(ctx, db.pool)
	if err != nil {
		return nil, nil, err
	}
	p, err := known.publishable(d, 1, schema)
	return p, schema, err
}

// knowing is how documents are read, with what else there is for them to name: hooks and connections.
func (db *DB) knowing(ctx context.Context, q querier) (*settings, error) {
	rows, err := collect[struct{ Name, Kind string }](ctx, q, `select name, kind from connections union all select name, '' from hooks`)
	hooks, connections := map[string]bool{}, map[string]string{}
	for _, r := range rows {
		if r.Kind == "" {
			hooks[r.Name] = true
		} else {
			connections[r.Name] = r.Kind
		}
	}
	s := db.settings
	s.catalog.HasHook = func(name string) bool { return hooks[name] }
	s.catalog.ConnectionKind = func(name string) (kind string, ok bool) {
		kind, ok = connections[name]
		return kind, ok
	}
	return &s, err
}

// ZoneOf is where the version reads and shows times for a user.
func (p *Published) ZoneOf(properties map[string]any) *time.Location {
	own, _ := properties["time_zone"].(string)
	return p.local(own)
}

// Shown is an instant for people, in the zone that the version has for a user.
func (p *Published) Shown(at time.Time, properties map[string]any) string {
	return shownIn(at, p.ZoneOf(properties))
}

// Shut is until when an action must not start for a user; nil where it may now. Returns ErrInvalid where
// the hours of the version never come again.
func (p *Published) Shut(ref VisitRef, properties map[string]any) (*ShutError, error) {
	return p.shut(ref.At, p.ZoneOf(properties), ref)
}

// Inhabit is an enrollment in the version that stands in a step: "" where it does not wait.
func (p *Published) Inhabit(ref VisitRef, trigger string) Inhabitant {
	return Inhabitant{Published: p, EnrollmentID: ref.EnrollmentID, Trigger: trigger, Step: ref.Step, Visit: ref.Visit, Awaits: p.awaits[ref.Step], Heeds: true}
}
