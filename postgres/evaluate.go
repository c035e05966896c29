package postgres

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"rollcall/automation"
	"rollcall/filter"
)

// Membership names a filter trigger that may hold for a user.
type Membership struct {
	Definition string `json:"definition"`
	Version    int    `json:"version"`
	Trigger    int    `json:"trigger"` // its position
}

// Standing is how a filter trigger stands for a user. The zero value is that of all others: it does
// not hold, and time alone does not change that.
type Standing struct {
	Holds bool
	Due   time.Time // when time alone may next change the answer; zero: never
}

// Question is one item with all it takes to judge it.
type Question struct {
	Item     *Item
	Subject  filter.Subject // the user as of the item's moment, with the past that the filters need
	Heard    []Heard        // event triggers that listen to the item's events
	Filters  []TriggerRef   // filter triggers that the item concerns
	Standing map[Membership]Standing
	Since    map[Membership]time.Time // of those that have a standing: when it was found to be so
	Inside   []Inhabitant             // live enrollments of the user whose conditions to leave the item concerns
}

// Heard is an event trigger and the event of the item that it listens to.
type Heard struct {
	TriggerRef
	Event *automation.Event
}

// Inhabitant is a live enrollment with its version.
type Inhabitant struct {
	*Published
	EnrollmentID string
	Trigger      string // the kind that enrolled

	Step   string    // that it waits in; "" where it does not wait
	Visit  int       //
	Awaits []Awaited // what the step waits for
	Heeds  bool      // it did already when the item was written
}

// Verdict is what asking the definitions about one item came to.
type Verdict struct {
	Matches []Match               // what wants to enroll
	Turns   []Turn                // filter triggers whose standing changed
	Leaves  map[string]string     // reasons by enrollment, of those that end
	Stays   map[string]*time.Time // by enrollment, of those that go on: when time alone may end them, or their wait
	Met     []Meeting             // waits that are over
	Follow  []VisitRef            // delays whose end moves
}

// Meeting is a wait that is over because something happened.
type Meeting struct {
	VisitRef
	Which int               // the position of what was waited for
	Event *automation.Event // nil: a condition came to hold
}

// Turn is the new standing of a filter trigger.
type Turn struct {
	Membership
	Standing
	Edge bool // it started or ceased to hold
}

// Judge answers a question. It must not keep it.
type Judge func(q *Question) Verdict

// Evaluation is what one call of Evaluate did.
type Evaluation struct {
	Items  int
	Orders []Order
	Left   int       // enrollments that were ended
	Woken  int       // enrollments whose wait is over, or ends at another time
	Oldest time.Time // when the oldest of the items was written
}

// ItemError says which item could not be evaluated.
type ItemError struct {
	ID  int64
	Err error
}

func (e *ItemError) Error() string { return fmt.Sprintf("evaluate item %d: %s", e.ID, e.Err) }

// Unwrap returns the cause.
func (e *ItemError) Unwrap() error { return e.Err }

// Evaluate claims up to limit work items and does, in one transaction, all that follows from them:
// membership edges, decisions, enrollments, ends of enrollments, and the end of the items. What it
// claims nobody else does; each item is evaluated exactly once in effect, a user's items in commit
// order.
func (db *DB) Evaluate(ctx context.Context, limit int, judge Judge) (Evaluation, error) {
	var done Evaluation
	err := db.tx(ctx, func(tx pgx.Tx) error {
		done = Evaluation{}
		in, err := db.joinEpoch(ctx, tx, "", "") // what ends or begins may write items in turn
		if err != nil {
			return err
		}
		items, err := claim(ctx, tx, in.now, limit)
		if err != nil || len(items) == 0 {
			return err
		}
		done.Items, done.Oldest = len(items), items[0].CreatedAt
		if err := in.lockUsers(ctx, items); err != nil {
			return err
		}
		in.now = db.clock() // not before what is claimed came to be
		for _, wave := range waves(items) {
			e := evaluation{ingest: in, judge: judge, done: &done}
			if err := e.wave(ctx, wave); err != nil {
				return blame(wave, err)
			}
		}
		ids := make([]int64, len(items))
		for i := range items {
			ids[i] = items[i].ID
		}
		_, err = tx.Exec(ctx, `delete from work_items where id = any($1)`, ids)
		return err
	})
	return done, err
}

// lockUsers locks the users whom items are about, in the order in which everybody does, where ending or
// beginning an enrollment may write an item about them.
func (in *ingest) lockUsers(ctx context.Context, items []claimedItem) error {
	live, err := in.db.live(ctx, in, in.epoch)
	if err != nil || !live.stays && len(live.passages()) == 0 {
		return err
	}
	users := make([]string, len(items))
	for i := range items {
		users[i] = items[i].UserID
	}
	_, err = in.Exec(ctx, `select from users where id = any($1) order by id for no key update`, users)
	return err
}

// waves parts items such that each wave has one item of each user at most: what an item enrolls is
// seen by the next one of its user.
func waves(items []claimedItem) [][]claimedItem {
	var all [][]claimedItem
	count := map[string]int{}
	for _, item := range items {
		n := count[item.UserID]
		count[item.UserID]++
		if n == len(all) {
			all = append(all, nil)
		}
		all[n] = append(all[n], item)
	}
	return all
}

// blame makes an error that of an item where there is only one.
func blame(items []claimedItem, err error) error {
	if _, known := errors.AsType[*ItemError](err); known || err == nil || len(items) > 1 || isRetryable(err) || errors.Is(translate(err), automation.ErrUnavailable) {
		return err
	}
	return &ItemError{items[0].ID, err}
}

// evaluation is the evaluation of items of different users.
type evaluation struct {
	*ingest
	judge Judge
	done  *Evaluation
}

func (e *evaluation) wave(ctx context.Context, items []claimedItem) error {
	questions, err := e.ask(ctx, items)
	if err != nil {
		return err
	}
	var matches []Match
	leaves := map[string]string{}
	var inside []string // enrollments in which something happens
	batch := &pgx.Batch{}
	for i := range questions {
		q := &questions[i]
		v := e.judge(q)
		for j := range v.Matches {
			m := &v.Matches[j]
			m.UserID, m.Depth = q.Item.UserID, max(m.Depth, q.Item.Depth)
			m.judge(q.Subject)
		}
		matches = append(matches, v.Matches...)
		for _, t := range v.Turns {
			e.queueTurn(batch, q.Item.UserID, t)
		}
		for id, reason := range v.Leaves {
			leaves[id] = reason
			inside = append(inside, id)
		}
		e.done.Woken += len(v.Met) + len(v.Follow)
		for _, m := range v.Met {
			queueMet(batch, m, e.now)
			inside = append(inside, m.EnrollmentID)
		}
		for _, ref := range v.Follow {
			queueMove(batch, ref)
			inside = append(inside, ref.EnrollmentID)
		}
		for id, due := range v.Stays {
			batch.Queue(`update enrollments set due = $2 where id = $1 and ended_at is null and due is distinct from $2`, id, due)
		}
	}
	if len(inside) > 0 {
		if _, err := e.Exec(ctx, `select from enrollments where id = any($1) order by id for update`, inside); err != nil {
			return err
		}
		e.now = e.db.clock() // in what ends no step begins any more
	}
	if err := e.leave(ctx, leaves); err != nil {
		return err
	}
	orders, err := e.enroll(ctx, matches)
	if err != nil {
		return err
	}
	e.done.Orders = append(e.done.Orders, orders...)
	if batch.Len() == 0 {
		return nil
	}
	return e.SendBatch(ctx, batch).Close()
}

// leave ends enrollments. One that ended meanwhile stays as it is.
func (e *evaluation) leave(ctx context.Context, reasons map[string]string) error {
	ended := make([]bool, len(reasons))
	i := 0
	for _, id := range slices.Sorted(maps.Keys(reasons)) {
		reason := reasons[id]
		if err := e.queueEnd(ctx, End{ID: id, Status: automation.Unenrolled, Reason: reason}, &ended[i]); err != nil {
			return err
		}
		i++
	}
	if err := e.flush(ctx); err != nil {
		return err
	}
	for _, ok := range ended {
		if ok {
			e.done.Left++
		}
	}
	return nil
}

func (e *evaluation) queueTurn(batch *pgx.Batch, userID string, t Turn) {
	if t.Standing == (Standing{}) {
		batch.Queue(`
			delete from memberships where user_id = $4 and definition = $1 and version = $2 and trigger = $3`,
			t.Definition, t.Version, t.Trigger, userID)
		return
	}
	var due *time.Time
	if !t.Due.IsZero() {
		due = &t.Due
	}
	// A user who was deleted meanwhile has no memberships any more.
	batch.Queue(`
		insert into memberships as m (definition, version, trigger, user_id, holds, due, since)
		select $1, $2, $3, id, $5, $6, $7 from users where id = $4 for key share
		on conflict (user_id, definition, version, trigger) do update
		set holds = excluded.holds, due = excluded.due, since = case when $8 then excluded.since else m.since end`,
		t.Definition, t.Version, t.Trigger, userID, t.Holds, due, e.now, t.Edge)
}

// ask reads what it takes to judge the items.
func (e *evaluation) ask(ctx context.Context, items []claimedItem) ([]Question, error) {
	questions := make([]Question, len(items))
	var members, inside, past []int // positions of the questions that ask about these
	sets := make([]*LiveSet, len(items))
	for i := range items {
		item, err := items[i].read()
		if err != nil {
			return nil, &ItemError{items[i].ID, err}
		}
		live, err := e.db.live(ctx, e, item.Epoch)
		if err != nil {
			return nil, &ItemError{item.ID, err}
		}
		q := &questions[i]
		q.Item, q.Subject = item, filter.Subject{User: item.Properties, Now: item.At}
		e.triggers(q, live)
		sets[i] = live
		if len(q.Filters) > 0 {
			members = append(members, i)
		}
		if live.stays {
			inside = append(inside, i)
		}
	}
	if err := e.readStanding(ctx, questions, members); err != nil {
		return nil, err
	}
	if err := e.readInside(ctx, questions, inside); err != nil {
		return nil, err
	}
	var needs filter.Needs
	for i := range questions {
		if own := questions[i].needs(); !own.None() {
			needs.Join(own)
			past = append(past, i)
		}
	}
	return questions, e.readPasts(ctx, questions, past, needs)
}

// triggers finds those that the item concerns. A user who was deleted has no standing.
func (e *evaluation) triggers(q *Question, live *LiveSet) {
	for i := range q.Item.Events {
		event := &q.Item.Events[i]
		for _, ref := range live.heard[event.Name] {
			q.Heard = append(q.Heard, Heard{ref, event})
		}
	}
	if q.Item.Has(automation.EventUserDeleted) {
		return
	}
	q.Filters = live.filters.concerned(q.Item)
	for _, ask := range q.Item.Asks {
		if ref, ok := live.filters.find(ask.Membership); ok {
			q.Filters = append(q.Filters[:len(q.Filters):len(q.Filters)], ref)
		}
	}
}

// needs is what of the past the filters of a question ask for. Matches may ask for the conditions of
// their version too.
func (q *Question) needs() filter.Needs {
	var needs filter.Needs
	for _, h := range q.Heard {
		if where := h.Triggers[h.Trigger].Where; where != nil {
			needs.Join(where.Needs())
		}
		needs.Join(h.needs)
	}
	for _, ref := range q.Filters {
		needs.Join(ref.Triggers[ref.Trigger].Holds.Needs())
		needs.Join(ref.needs)
	}
	for _, p := range q.Inside {
		needs.Join(p.needs)
	}
	return needs
}

func (e *evaluation) readStanding(ctx context.Context, questions []Question, at []int) error {
	byUser := make(map[string]*Question, len(at))
	users := make([]string, len(at))
	for i, position := range at {
		q := &questions[position]
		q.Standing, q.Since = map[Membership]Standing{}, map[Membership]time.Time{}
		byUser[q.Item.UserID], users[i] = q, q.Item.UserID
	}
	if len(users) == 0 {
		return nil
	}
	rows, err := e.Query(ctx, `
		select user_id, definition, version, trigger, holds, due, since from memberships where user_id = any($1)`, users)
	if err != nil {
		return err
	}
	var user string
	var m Membership
	var s Standing
	var since time.Time
	_, err = pgx.ForEachRow(rows, []any{&user, &m.Definition, &m.Version, &m.Trigger, &s.Holds, &nullTime{&s.Due}, &since}, func() error {
		byUser[user].Standing[m], byUser[user].Since[m] = s, since.UTC()
		s = Standing{}
		return nil
	})
	return err
}

// readInside finds the live enrollments that an item can end.
func (e *evaluation) readInside(ctx context.Context, questions []Question, at []int) error {
	byUser := make(map[string]*Question, len(at))
	users, ids := make([]string, len(at)), make([]int64, len(at))
	for i, position := range at {
		q := &questions[position]
		byUser[q.Item.UserID], users[i], ids[i] = q, q.Item.UserID, q.Item.ID
	}
	if len(users) == 0 {
		return nil
	}
	// Requests and runs judged the user as they found him: an item from before says nothing about them.
	rows, err := collect[struct {
		ID, UserID, Definition, Trigger string
		Version                         int
		Step                            string
		Visit                           int
		Heeds                           bool
	}](ctx, e, `
		select e.id::text, e.user_id, e.definition, e.version, e.trigger,
			coalesce(v.step, '') as step, coalesce(v.visit, 0) as visit, coalesce(v.seq < i.item, false) as heeds
		from unnest($1::text[], $2::bigint[]) i (user_id, item)
		join enrollments e on e.user_id = i.user_id and e.ended_at is null
		left join visits v on v.enrollment_id = e.id and v.status = 'waiting' and v.kind in ('delay', 'wait_for')
		where e.seq < i.item or e.trigger <> 'manual' and e.run_id is null`, users, ids)
	if err != nil {
		return err
	}
	for _, r := range rows {
		version, err := e.db.published(ctx, e, r.Definition, r.Version)
		if err != nil {
			return err
		}
		q := byUser[r.UserID]
		if concerns(version.inside, q.Item) || q.Item.Asked(Membership{r.Definition, r.Version, AskLeaving}) {
			q.Inside = append(q.Inside, Inhabitant{
				Published: version, EnrollmentID: r.ID, Trigger: r.Trigger,
				Step: r.Step, Visit: r.Visit, Awaits: version.awaits[r.Step], Heeds: r.Heeds,
			})
		}
	}
	return nil
}

// readPasts gives the questions the pasts that they need. Those of flips that are overdue begin when
// they were due.
func (e *evaluation) readPasts(ctx context.Context, questions []Question, at []int, needs filter.Needs) error {
	if len(at) == 0 {
		return nil
	}
	moments := make([]moment, len(at))
	for i, position := range at {
		item := questions[position].Item
		moments[i] = moment{item.UserID, item.ID, item.At}
		for _, ask := range item.Asks {
			if ask.Due.Before(moments[i].at) {
				moments[i].at = ask.Due
			}
		}
		if len(item.Asks) > 0 { // also about instants before that
			needs = needs.Unlimited()
		}
	}
	records, err := e.db.records(ctx, e, needs, moments)
	if err != nil {
		return err
	}
	for _, position := range at {
		questions[position].Subject.Past = records[questions[position].Item.UserID].past()
	}
	return nil
}
