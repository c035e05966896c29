package postgres

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"rollcall/automation"
	"rollcall/filter"
)

// MaxDepth is how many enrollments may cause one another: an enrollment sets a property, which
// enrolls, which sets a property, and so on.
const MaxDepth = 10

// Requested is the position of the trigger when an operator or the API asked for an enrollment.
const Requested = -1

// Match says that a trigger of a version wants to enroll a user.
type Match struct {
	Version *Published
	Trigger int               // its position, or Requested
	UserID  string            //
	Event   *automation.Event // what happened, where an event enrolls
	Depth   int               // of the change that matched
	Refused string            // why it must not, where that is known already
	Due     *time.Time        // when time alone may next make the enrollment end
	Run     *string           // the run that it is part of, if it is
}

func (m *Match) kind() string {
	if m.Trigger == Requested {
		return "manual"
	}
	return m.Version.Triggers[m.Trigger].Kind()
}

// judge finds what bars the user, or when time alone may.
func (m *Match) judge(s filter.Subject) {
	if m.Refused = m.Version.Bars(s, m.kind()); m.Refused == "" {
		m.Due = m.Version.NextBar(s)
	}
}

// Order is an enrollment that Temporal has to start.
type Order struct {
	ID         string
	Definition string
	Version    int
	UserID     string
	Ordinal    int

	Attempt     int  // how often it was begun anew after a failure
	FastForward bool // Temporal skips the time that it waits
}

// The reasons of refusals that callers tell apart.
const (
	refusedInside = "already enrolled"
	refusedOnce   = "enrolled before, and the workflow enrolls once"
	refusedHeld   = "held: the guard lets no more through this hour"
)

// decision is what became of one match.
type decision struct {
	N       int // its position
	ID      string
	Ordinal int
	Outcome string // enrolled, held or refused
	Reason  string
}

// enroll decides matches in order, and returns the orders for those that may start now.
func (in *ingest) enroll(ctx context.Context, matches []Match) ([]Order, error) {
	decisions, err := in.decide(ctx, matches)
	if err != nil {
		return nil, err
	}
	var orders []Order
	for _, d := range decisions {
		if d.Outcome == "enrolled" {
			m := &matches[d.N]
			orders = append(orders, Order{ID: d.ID, Definition: m.Version.Name, Version: m.Version.Number, UserID: m.UserID, Ordinal: d.Ordinal})
		}
	}
	return orders, nil
}

// decide writes an enrollment or a refusal for each match, in one statement: the ledger is asked, the
// first of several matches of one user and definition counts, and the unique indexes are the last
// word. What enrolls makes an item where a filter asks about workflows.
func (in *ingest) decide(ctx context.Context, matches []Match) ([]decision, error) {
	if len(matches) == 0 {
		return nil, nil
	}
	room, err := in.room(ctx, matches)
	if err != nil {
		return nil, err
	}
	live, err := in.db.live(ctx, in, in.epoch)
	if err != nil {
		return nil, err
	}
	n := len(matches)
	a := struct {
		ids, definitions, users, kinds, refused []string
		versions, triggers, depths              []int
		events, runs                            []*string
		again                                   []*float64 // seconds; null: never
		rooms                                   []*int
		gone                                    []bool
		due                                     []*time.Time
	}{}
	for i := range matches {
		m := &matches[i]
		a.ids, a.definitions, a.users = append(a.ids, newID()), append(a.definitions, m.Version.Name), append(a.users, m.UserID)
		a.kinds, a.refused = append(a.kinds, m.kind()), append(a.refused, m.refusal())
		a.versions, a.triggers, a.depths = append(a.versions, m.Version.Number), append(a.triggers, m.Trigger), append(a.depths, m.Depth)
		a.events, a.runs, a.due = append(a.events, m.eventJSON()), append(a.runs, m.Run), append(a.due, m.Due)
		a.again, a.rooms = append(a.again, m.again()), append(a.rooms, room[m.Version.Name])
		a.gone = append(a.gone, m.Event != nil && m.Event.Name == automation.EventUserDeleted)
	}
	decisions := make([]decision, 0, n)
	mode := pgx.QueryExecModeCacheStatement
	if n > 20 { // a plan that was made when the ledger was small may read all of it for each user
		mode = pgx.QueryExecModeDescribeExec
	}
	rows, err := in.Query(ctx, decideSQL, mode,
		a.ids, a.definitions, a.versions, a.users, a.triggers, a.kinds, a.refused, a.events, a.depths, a.again, a.rooms, a.gone, a.due, a.runs,
		in.now, in.epoch, live.passages())
	if err != nil {
		return nil, err
	}
	decisions, err = pgx.AppendRows(decisions, rows, pgx.RowToStructByName[decision])
	return decisions, err
}

const decideSQL = `
	with asked as (
		select * from unnest($1::uuid[], $2::text[], $3::int[], $4::text[], $5::int[], $6::text[], $7::text[], $8::jsonb[],
			$9::int[], $10::float8[], $11::int[], $12::bool[], $13::timestamptz[], $14::uuid[])
		with ordinality as a (id, definition, version, user_id, trigger, kind, refused, event, depth, again, room, gone, due, run_id, n)
	), known as (
		select id from users where id = any($4) order by id for key share
	), judged as (
		select a.*, coalesce(l.ordinal, 0) + 1 as ordinal, case
			when a.refused <> '' then a.refused
			when k.id is null and not a.gone then 'the user was deleted'
			when l.live then '` + refusedInside + `'
			when l.last is not null and a.again is null then '` + refusedOnce + `'
			when l.last + a.again * interval '1 second' > $15 then 'enrolled too recently'
			else '' end as reason
		from asked a left join known k on k.id = a.user_id
		left join (
			select e.definition, e.user_id, max(e.ordinal) as ordinal, bool_or(e.ended_at is null) as live,
				max(e.created_at) filter (where not e.rejected) as last
			from (select distinct definition, user_id from asked) o
			join enrollments e on e.definition = o.definition and e.user_id = o.user_id
			group by e.definition, e.user_id
		) l on l.definition = a.definition and l.user_id = a.user_id
	), ranked as (
		select *, row_number() over (partition by definition, user_id, reason = '' order by n) as among_own from judged
	), placed as (
		select *, row_number() over (partition by definition order by n) as place from ranked where reason = '' and among_own = 1
	), enrolled as (
		insert into enrollments (id, definition, version, user_id, ordinal, status, trigger, event, depth, due, run_id, created_at)
		select id, definition, version, user_id, ordinal, case when place > room then 'held' else 'pending' end,
			kind, event, depth, due, run_id, $15
		from placed order by user_id, definition on conflict do nothing returning id, definition, user_id, depth, status
	), item as (
		insert into work_items (user_id, epoch, depth, at, properties, changed, events, workflows)
		select u.id, $16, e.depth + 1, $15, u.properties, '{}', '[]', array[e.definition]
		from enrolled e join users u on u.id = e.user_id where e.definition = any($17) order by u.id for no key update of u
	), decided as (
		select r.*, case when e.id is null then 'refused' when e.status = 'held' then 'held' else 'enrolled' end as outcome,
			case when r.reason <> '' then r.reason when e.id is null then '` + refusedInside + `'
				when e.status = 'held' then '` + refusedHeld + `' else '' end as because, e.id as enrollment_id
		from ranked r left join enrolled e on e.id = r.id
	), noted as (
		insert into decisions (definition, version, user_id, at, trigger, outcome, reason, enrollment_id)
		select definition, version, user_id, $15, trigger, outcome, because, enrollment_id from decided order by n
	)
	select (n - 1)::int as n, id::text, ordinal, outcome, because as reason from decided order by n`

// refusal is why a match is refused whatever the ledger says; "" where it is not.
func (m *Match) refusal() string {
	if m.Refused == "" && m.Depth >= MaxDepth {
		return "loop: too many enrollments caused one another"
	}
	return m.Refused
}

// again is after how many seconds a user may be enrolled once more; nil: never. A request may come at
// any time.
func (m *Match) again() *float64 {
	again := m.Version.Document.Enroll.Again
	seconds := time.Duration(again.After).Seconds()
	switch {
	case again == automation.Again{}:
		return nil
	case again.Every || m.Trigger == Requested:
		seconds = 0
	}
	return &seconds
}

func (m *Match) eventJSON() *string {
	if m.Event == nil {
		return nil
	}
	text, err := json.Marshal(m.Event)
	if err != nil {
		panic(fmt.Sprintf("postgres: write event: %s", err)) // it came from JSON
	}
	s := string(text)
	return &s
}

// room is how many more enrollments the guards of definitions let through at this moment; a
// definition without an entry takes any number. Until the transaction ends, no other enrolls in one
// that has a guard.
func (in *ingest) room(ctx context.Context, matches []Match) (map[string]*int, error) {
	guarded := map[string]*automation.Guard{}
	var names []string
	for i := range matches {
		if v := matches[i].Version; v.Document.Guard != nil && guarded[v.Name] == nil {
			guarded[v.Name] = v.Document.Guard
			names = append(names, v.Name)
		}
	}
	if len(names) == 0 {
		return nil, nil
	}
	slices.Sort(names)
	for _, name := range names {
		if _, err := in.Exec(ctx, `select pg_advisory_xact_lock($1, hashtext($2))`, guardLock, name); err != nil {
			return nil, err
		}
	}
	users := 0
	if slices.ContainsFunc(names, func(name string) bool { return guarded[name].MaxShare > 0 }) {
		if err := in.QueryRow(ctx, `select count(*) from users`).Scan(&users); err != nil {
			return nil, err
		}
	}
	rows, err := in.Query(ctx, `
		select n.definition, (select count(*) from enrollments e
			where e.definition = n.definition and e.created_at > $2 and e.status <> 'held' and not e.rejected)
		from unnest($1::text[]) n (definition)`, names, in.now.Add(-time.Hour))
	if err != nil {
		return nil, err
	}
	room := map[string]*int{}
	var name string
	var enrolled int
	_, err = pgx.ForEachRow(rows, []any{&name, &enrolled}, func() error {
		limit := guarded[name].Limit(users)
		left := max(0, *limit-enrolled)
		room[name] = &left
		return nil
	})
	return room, err
}

// guardLock is the first half of the advisory locks of guards.
const guardLock = 7031

// Enroll enrolls a user on request. It returns ErrNotFound for an unknown definition,
// ErrUnknownUser, ErrNotActive, ErrAlreadyEnrolled, ErrEnrollsOnce or ErrSuppressed. There is no order
// for an enrollment that the guard holds.
func (db *DB) Enroll(ctx context.Context, definition, userID string) (*automation.Enrollment, *Order, error) {
	return db.request(ctx, definition, userID, false)
}

// EnrollFastForward is Enroll for an enrollment whose waits Temporal skips.
func (db *DB) EnrollFastForward(ctx context.Context, definition, userID string) (*automation.Enrollment, *Order, error) {
	return db.request(ctx, definition, userID, true)
}

func (db *DB) request(ctx context.Context, definition, userID string, fast bool) (*automation.Enrollment, *Order, error) {
	var d decision
	var order *Order
	var refused error // which is recorded too
	err := db.ingest(ctx, "", func(in *ingest) error {
		order, refused = nil, nil
		version, err := db.liveVersion(ctx, in, definition)
		if err != nil {
			return err
		}
		user, err := scanUser(in.QueryRow(ctx, `select id, properties, created_at, updated_at from users where id = $1 for no key update`, userID))
		if errors.Is(err, automation.ErrNotFound) {
			return automation.ErrUnknownUser
		}
		if err != nil {
			return err
		}
		match := Match{Version: version, Trigger: Requested, UserID: userID}
		subject, err := db.subject(ctx, in, version.needs, userID, user.Properties)
		if err != nil {
			return err
		}
		match.judge(subject)
		decisions, err := in.decide(ctx, []Match{match})
		if err != nil {
			return err
		}
		d = decisions[0]
		if d.Outcome != "refused" {
			queueMade(ctx, &in.writes, "enrollment "+d.ID)
			if fast {
				in.writes.Queue(`update enrollments set fast_forward = true where id = $1`, d.ID)
			}
		}
		switch {
		case d.Outcome == "enrolled":
			order = &Order{ID: d.ID, Definition: definition, Version: version.Number, UserID: userID, Ordinal: d.Ordinal, FastForward: fast}
		case d.Outcome == "held":
		case d.Reason == refusedInside:
			refused = automation.ErrAlreadyEnrolled
		case d.Reason == match.Refused:
			refused = fmt.Errorf("%w: %s", automation.ErrSuppressed, d.Reason)
		default:
			refused = automation.ErrEnrollsOnce
		}
		return nil
	})
	if err = cmp.Or(err, refused); err != nil {
		return nil, nil, err
	}
	e, err := db.Enrollment(ctx, d.ID)
	return e, order, err
}
