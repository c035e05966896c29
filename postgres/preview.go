package postgres

import (
	"context"
	"strconv"
	"strings"
	"time"

	"rollcall/automation"
	"rollcall/filter"
)

// sampled is how many users a preview names.
const sampled = 20

// Preview is how many users something concerns at this moment.
type Preview struct {
	Matching int          `json:"matching" doc:"Users for whom it holds now."`
	Total    int          `json:"total" doc:"All users."`
	Sample   []string     `json:"sample" doc:"The ids of some of them."`
	Live     *PreviewLive `json:"live,omitempty" doc:"The same for the version that is live, and the difference."`
}

// PreviewLive compares a preview with the version that is live.
type PreviewLive struct {
	Matching int `json:"matching"`
	Added    int `json:"added" doc:"Users who match now and did not."`
	Removed  int `json:"removed" doc:"Users who matched and do not now."`
}

// PreviewFilter previews a filter, read in the time zone of a workflow. It returns an *InvalidError
// for one that cannot be used, with pointers relative to the filter.
func (db *DB) PreviewFilter(ctx context.Context, name string, t *filter.Tree) (*Preview, error) {
	d, err := db.draft(ctx, name)
	if err != nil {
		return nil, err
	}
	schema, err := db.Properties(ctx)
	if err != nil {
		return nil, err
	}
	f, problems := filter.Compile(t, schema.Scope(false, db.Localized(d).TimeZone))
	if err := automation.Invalid("the filter", problems); err != nil {
		return nil, err
	}
	return db.preview(ctx, name, population{any: []*filter.Filter{f}})
}

// PreviewDocument previews whom the filter triggers of a document concern; the saved draft where the
// document is nil. It returns an *InvalidError for a document that could not be published.
func (db *DB) PreviewDocument(ctx context.Context, name string, d *automation.Document) (*Preview, error) {
	saved, err := db.draft(ctx, name)
	if err != nil {
		return nil, err
	}
	if d == nil {
		d = saved
	}
	version, _, err := db.Prepare(ctx, d)
	if err != nil {
		return nil, err
	}
	return db.preview(ctx, name, version.population())
}

func (db *DB) draft(ctx context.Context, name string) (*automation.Document, error) {
	d, err := db.Definition(ctx, name)
	if err != nil {
		return nil, err
	}
	return automation.ParseDocument(d.Draft)
}

// population is the users for whom any of some filters holds, and none of others.
type population struct {
	all       bool // every user is one of those for whom any holds
	any, none []*filter.Filter
}

// population is whom the filter triggers and the schedules of the version concern. Of a schedule by a
// date on the user's record, that is everybody whom some firing may concern.
func (p *Published) population() population {
	var all population
	for _, t := range p.Triggers {
		switch {
		case t.Holds != nil:
			all.any = append(all.any, t.Holds)
		case t.Schedule != nil && t.Where != nil:
			all.any = append(all.any, t.Where)
		case t.Schedule != nil:
			all.all = true
		}
	}
	for _, f := range []*filter.Filter{p.Unless, p.LeaveWhen} {
		if f != nil {
			all.none = append(all.none, f)
		}
	}
	return all
}

// sql is the condition on a user u to be one of the population.
func (p population) sql(now time.Time, zones []string, a *sqlArgs) string {
	either := []string{strconv.FormatBool(p.all)}
	for _, f := range p.any {
		either = append(either, compileSQL(f, now, zones, a))
	}
	all := []string{`(` + strings.Join(either, ` or `) + `)`}
	for _, f := range p.none {
		all = append(all, `not `+compileSQL(f, now, zones, a))
	}
	return `(` + strings.Join(all, ` and `) + `)`
}

func (db *DB) preview(ctx context.Context, name string, p population) (*Preview, error) {
	live, err := db.livePopulation(ctx, name)
	if err != nil {
		return nil, err
	}
	filters := append(append([]*filter.Filter{}, p.any...), p.none...)
	if live != nil {
		filters = append(append(filters, live.any...), live.none...)
	}
	zones, err := db.zonesFor(ctx, db.pool, filters...)
	if err != nil {
		return nil, err
	}
	a := &sqlArgs{}
	now := db.clock()
	new, old := p.sql(now, zones, a), `false`
	if live != nil {
		old = live.sql(now, zones, a)
	}
	var out Preview
	var l PreviewLive
	// The offset keeps each filter from being computed for each count.
	err = db.pool.QueryRow(ctx, `
		select count(*), count(*) filter (where new), count(*) filter (where old),
			count(*) filter (where new and not old), count(*) filter (where old and not new)
		from (select `+new+` as new, `+old+` as old from users u offset 0) u`, a.planned()...).
		Scan(&out.Total, &out.Matching, &l.Matching, &l.Added, &l.Removed)
	if err != nil {
		return nil, translate(err)
	}
	if live != nil {
		out.Live = &l
	}
	out.Sample = []string{}
	if out.Matching > 0 {
		a = &sqlArgs{}
		out.Sample, err = collectScalars[string](ctx, db.pool, `
			select u.id from users u where `+p.sql(now, zones, a)+` order by u.id limit `+a.add(sampled), a.planned()...)
	}
	return &out, err
}

// livePopulation is that of the version that is live; nil where none is.
func (db *DB) livePopulation(ctx context.Context, name string) (*population, error) {
	d, err := db.Definition(ctx, name)
	if err != nil || d.LiveVersion == 0 {
		return nil, err
	}
	version, err := db.Published(ctx, name, d.LiveVersion)
	if err != nil {
		return nil, err
	}
	p := version.population()
	return &p, nil
}

// UsersMatching lists the users for whom a filter holds by id, at most limit of them, beginning after
// the id given. It returns an *InvalidError for a filter that cannot be used.
func (db *DB) UsersMatching(ctx context.Context, t *filter.Tree, after string, limit int) ([]automation.User, error) {
	schema, err := db.Properties(ctx)
	if err != nil {
		return nil, err
	}
	f, problems := filter.Compile(t, schema.Scope(false, db.zone))
	if err := automation.Invalid("the filter", problems); err != nil {
		return nil, err
	}
	zones, err := db.zonesFor(ctx, db.pool, f)
	if err != nil {
		return nil, err
	}
	a := &sqlArgs{}
	return collect[automation.User](ctx, db.pool, `
		select u.id, u.properties, u.created_at, u.updated_at from users u
		where u.id > `+a.add(after)+` and `+compileSQL(f, db.clock(), zones, a)+` order by u.id limit `+a.add(limit), a.planned()...)
}
