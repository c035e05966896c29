package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"rollcall/automation"
	"rollcall/filter"
)

// CatchUp is how late a firing may be and still enroll. One that is later is recorded as missed.
const CatchUp = 24 * time.Hour

// oldestFiring is how far back firings are looked for at all.
const oldestFiring = 400 * 24 * time.Hour

// ScheduleRef names a schedule trigger of a version.
type ScheduleRef struct {
	Definition string
	Version    int
	Trigger    int
}

// beginSchedules lets the schedules of a version that was just published fire.
func beginSchedules(ctx context.Context, tx pgx.Tx, v *Published, now time.Time) error {
	for i, t := range v.Triggers {
		if t.Schedule == nil {
			continue
		}
		// What an operator paused stays so.
		if _, err := tx.Exec(ctx, `
			insert into schedules (definition, version, trigger, live_from, accounted, paused, note)
			select $1, $2, $3, $4, $4, coalesce(o.paused, false), coalesce(o.note, '')
			from (values (1)) one left join lateral (
				select s.paused, s.note from schedules s where s.definition = $1 and s.trigger = $3 and s.note <> $5
				order by s.version desc limit 1
			) o on true`,
			v.Name, v.Number, i, now, PausedNote); err != nil {
			return err
		}
	}
	return nil
}

// PausedNote is what Temporal says of a schedule that is paused with its workflow.
const PausedNote = "paused with its workflow"

// stopSchedules ends what schedules and the clock still have to do for a definition that was archived.
func stopSchedules(ctx context.Context, tx pgx.Tx, definition string, now time.Time) error {
	for _, statement := range []string{
		`delete from run_users u using runs r where r.id = u.run_id and r.definition = $1 and r.ended_at is null`,
		`update runs set status = 'aborted', reason = 'the workflow was archived', ended_at = $2, updated_at = $2 where definition = $1 and ended_at is null`,
		`update schedules set accounted = $2 where definition = $1 and accounted < $2`,
		`delete from memberships where definition = $1 and not holds`,
		`update memberships set due = null where definition = $1 and due is not null`,
	} {
		args := []any{definition, now}
		if !strings.Contains(statement, "$2") {
			args = args[:1]
		}
		if _, err := tx.Exec(ctx, statement, args...); err != nil {
			return err
		}
	}
	return nil
}

// OpenDue makes a run of each firing that is due by an instant and has none: of the schedule that is
// live, and of those that were when it was due. Of a firing that was due more than CatchUp ago, or while
// the workflow or its schedule was paused, the run says that it was missed. The others are given to the
// Temporal workflow named, whose schedule is not paused, since it woke; or to one of their own where the
// name is empty. It returns how many it made.
func (db *DB) OpenDue(ctx context.Context, definition string, trigger int, until time.Time, workflowID string) (opened int, err error) {
	err = db.ingest(ctx, "", func(in *ingest) error {
		opened, err = in.openDue(ctx, definition, trigger, until, workflowID)
		return err
	})
	return opened, err
}

// settleSchedules accounts for what the schedules of a definition had to do until now, before the
// definition changes.
func (in *ingest) settleSchedules(ctx context.Context, definition string) error {
	triggers, err := collectScalars[int](ctx, in, `
		select distinct trigger from schedules where definition = $1 and accounted < least(live_until, $2) order by trigger`, definition, in.now)
	if err != nil {
		return err
	}
	for _, trigger := range triggers {
		if _, err := in.openDue(ctx, definition, trigger, in.now, ""); err != nil {
			return err
		}
	}
	return nil
}

func (in *ingest) openDue(ctx context.Context, definition string, trigger int, until time.Time, workflowID string) (opened int, err error) {
	rows, err := collect[struct {
		Version   int
		LiveUntil *time.Time
		Accounted time.Time
		Paused    bool
	}](ctx, in, `
			select s.version, s.live_until, s.accounted, s.live_until is null and d.status = 'paused' or s.paused and s.note <> $4 and $3 as paused
			from schedules s join definitions d on d.name = s.definition
			where s.definition = $1 and s.trigger = $2 and (s.live_until is null or s.accounted < s.live_until)
			order by s.version for update of s`, definition, trigger, workflowID == "", PausedNote)
	if err != nil {
		return 0, err
	}
	for _, r := range rows {
		end := until
		if r.LiveUntil != nil && r.LiveUntil.Before(end) {
			end = *r.LiveUntil
		}
		if !end.After(r.Accounted) {
			continue
		}
		version, err := in.db.published(ctx, in, definition, r.Version)
		if err != nil {
			return opened, err
		}
		f := firing{ref: TriggerRef{version, trigger}, paused: r.Paused, workflowID: workflowID}
		n, err := in.open(ctx, f, r.Accounted, end)
		if err != nil {
			return opened, err
		}
		opened += n
		if _, err := in.Exec(ctx, `
			update schedules set accounted = $4 where definition = $1 and version = $2 and trigger = $3`,
			definition, r.Version, trigger, end); err != nil {
			return opened, err
		}
	}
	return opened, nil
}

// firing is a firing of a schedule trigger, about to become a run.
type firing struct {
	ref        TriggerRef
	paused     bool
	workflowID string
}

// open makes runs of the firings of a trigger after an instant until another one.
func (in *ingest) open(ctx context.Context, f firing, after, until time.Time) (opened int, err error) {
	if oldest := until.Add(-oldestFiring); after.Before(oldest) {
		after = oldest
	}
	schedule := f.ref.Triggers[f.ref.Trigger].Schedule
	for _, due := range schedule.Between(after, until, f.ref.Document.Zone()) {
		missed := ""
		switch late := in.now.Sub(due.At); {
		case f.paused:
			missed = "the workflow or its schedule was paused"
		case late > CatchUp:
			missed = fmt.Sprintf("%s too late: nobody noticed it in time", late.Round(time.Minute))
		}
		made, err := in.openOne(ctx, f, due, missed, false)
		if err != nil {
			return opened, err
		}
		if made != "" && missed == "" {
			opened++
		}
	}
	return opened, nil
}

// openOne makes the run of one firing and notes whom it concerns, as of now. It returns no id where
// there is a run of that firing already.
func (in *ingest) openOne(ctx context.Context, f firing, due automation.Firing, missed string, byHand bool) (id string, err error) {
	status, ended := RunRunning, (*time.Time)(nil)
	if missed != "" {
		status, ended = RunMissed, &in.now
	}
	workflowID := f.workflowID
	var handed *time.Time
	if workflowID == "" {
		workflowID = fmt.Sprintf("rollcall/schedule/%s/%d/%s", f.ref.Name, f.ref.Trigger, due.Nominal)
		if byHand {
			workflowID += "/by-hand/" + newID()
		}
	} else {
		handed = &in.now
	}
	made, err := collectScalars[string](ctx, in, `
		insert into runs (id, definition, version, kind, status, matched, per_second, trigger, nominal, due_at, by_hand, workflow_id,
			reason, created_at, handed_at, updated_at, ended_at)
		values ($1, $2, $3, 'schedule', $4, 0, $5, $6, $7, $8, $9, $10, $11, $12, $13, $12, $14)
		on conflict do nothing returning id::text`,
		newID(), f.ref.Name, f.ref.Number, string(status), 0, f.ref.Trigger, due.Nominal, due.At, byHand, workflowID,
		missed, in.now, handed, ended)
	if err != nil || len(made) == 0 {
		return "", err
	}
	if missed != "" {
		return made[0], nil
	}
	return made[0], in.summon(ctx, made[0], f.ref, due.Day())
}

// summon notes whom a firing concerns.
func (in *ingest) summon(ctx context.Context, run string, ref TriggerRef, day string) error {
	t := ref.Triggers[ref.Trigger]
	zones, err := in.db.zonesFor(ctx, in, t.Where)
	if err != nil {
		return err
	}
	a := &sqlArgs{}
	conditions := []string{`true`}
	if t.Where != nil {
		conditions = append(conditions, compileSQL(t.Where, in.now, zones, a))
	}
	if t.Schedule.Property != "" {
		conditions = append(conditions, dateSQL(t.Schedule, day, a))
	}
	_, err = in.Exec(ctx, `
		with summoned as (
			insert into run_users (run_id, user_id) select `+a.add(run)+`::uuid, u.id from users u where `+strings.Join(conditions, ` and `)+` returning 1
		)
		update runs set matched = (select count(*) from summoned) where id = `+a.add(run)+`::uuid`, a.planned()...)
	return err
}

// dateSQL is the condition on a user u that a firing of a day concerns the date on the user's record.
func dateSQL(s *automation.Schedule, day string, a *sqlArgs) string {
	dates, monthDays := s.Concerns(day)
	value := `u.properties ->> ` + a.add(s.Property)
	if dates != nil {
		return `coalesce(` + value + ` = any(` + a.add(dates) + `), false)`
	}
	return `coalesce(right(` + value + `, 5) = any(` + a.add(monthDays) + `) and ` + plainTime(filter.Date, sqlValue{text: `(` + value + `)`}).valid + `, false)`
}

// RunNow makes a run of a schedule trigger by hand, as if it fired at this moment. It returns
// ErrNotFound for an unknown definition, ErrNotActive for one that is not published, and an
// *InvalidError where its trigger is no schedule. Without a trigger the only schedule is meant. The
// Temporal workflow named carries the run, which it makes once, however often it asks; where the name is
// empty, the run gets one of its own.
func (db *DB) RunNow(ctx context.Context, definition string, trigger *int, workflowID string) (*Run, error) {
	var id string
	err := db.ingest(ctx, "", func(in *ingest) error {
		made := func() error {
			return in.QueryRow(ctx, `select id::text from runs where workflow_id = $1 and by_hand`, workflowID).Scan(&id)
		}
		if err := made(); !errors.Is(err, pgx.ErrNoRows) {
			return err
		}
		version, err := db.liveVersion(ctx, in, definition)
		if err != nil {
			return err
		}
		i, err := version.schedule(trigger)
		if err != nil {
			return err
		}
		zone := version.Triggers[i].Schedule.Zone(version.Document.Zone())
		due := automation.Firing{Nominal: in.now.In(zone).Format("2006-01-02T15:04"), At: in.now}
		id, err = in.openOne(ctx, firing{ref: TriggerRef{version, i}, workflowID: workflowID}, due, "", true)
		if err == nil && id == "" { // the workflow asked twice at once
			err = made()
		}
		queueMade(ctx, &in.writes, "run "+id)
		return err
	})
	if err != nil {
		return nil, err
	}
	return db.Run(ctx, definition, id)
}

// schedule finds a schedule trigger by its position, or the only one.
func (p *Published) schedule(trigger *int) (int, error) {
	var found []int
	for i, t := range p.Triggers {
		if t.Schedule != nil && (trigger == nil || *trigger == i) {
			found = append(found, i)
		}
	}
	if len(found) == 1 {
		return found[0], nil
	}
	var problems automation.Problems
	switch {
	case trigger != nil:
		problems.Add("/trigger", "no-schedule", "trigger %d is no schedule", *trigger)
	case len(found) == 0:
		problems.Add("/trigger", "no-schedule", "the workflow has no schedule")
	default:
		problems.Add("/trigger", "required", "the workflow has several schedules: say the position of the trigger")
	}
	return 0, automation.Invalid("the run", problems)
}

// WokenByHand reports whether an operator woke a schedule, rather than its time of day: schedules wake
// at full minutes, when the clocks show their time or a firing is due because they left it out.
func (db *DB) WokenByHand(ctx context.Context, definition string, trigger int, at time.Time) (bool, error) {
	if at.IsZero() || !at.Equal(at.Truncate(time.Minute)) {
		return !at.IsZero(), nil
	}
	versions, err := collectScalars[int](ctx, db.pool, `
		select version from schedules
		where definition = $1 and trigger = $2 and (live_until is null or live_until > $3::timestamptz - interval '1 day')`, definition, trigger, at)
	if err != nil {
		return false, err
	}
	for _, number := range versions {
		version, err := db.Published(ctx, definition, number)
		if err != nil {
			return false, err
		}
		schedule, zone := version.Triggers[trigger].Schedule, version.Document.Zone()
		next, fires := schedule.Next(at.Add(-time.Second), zone)
		if fires && next.At.Equal(at) || at.In(schedule.Zone(zone)).Format("15:04") == schedule.At {
			return false, nil // maybe of a version that was replaced meanwhile
		}
	}
	return len(versions) > 0, nil
}

// OpenRuns lists the runs that a Temporal workflow has and that have not ended, oldest firing first.
func (db *DB) OpenRuns(ctx context.Context, workflowID string) ([]string, error) {
	return collectScalars[string](ctx, db.pool, `
		select id::text from runs where workflow_id = $1 and ended_at is null order by due_at, id`, workflowID)
}

// ScheduleState is a schedule trigger of a live version, as Temporal should have it and had it when it
// was looked at last.
type ScheduleState struct {
	ScheduleRef
	Status automation.DefinitionStatus // of the definition
	Told   string
	ToldAt *time.Time
	Paused bool
	Note   string
}

// Schedules lists the schedule triggers that are live; of one definition where it is named.
func (db *DB) Schedules(ctx context.Context, definition string) ([]ScheduleState, error) {
	return collect[ScheduleState](ctx, db.pool, `
		select s.definition, s.version, s.trigger, d.status, s.told, s.told_at, s.paused, s.note
		from schedules s join definitions d on d.name = s.definition
		where s.live_until is null and ($1 = '' or s.definition = $1) order by s.definition, s.trigger`, definition)
}

// GoneSchedules lists the triggers of which Temporal has a schedule though none is live any more.
func (db *DB) GoneSchedules(ctx context.Context) ([]ScheduleRef, error) {
	return collect[ScheduleRef](ctx, db.pool, `
		select s.definition, max(s.version) as version, s.trigger from schedules s
		group by s.definition, s.trigger having bool_and(s.live_until is not null) and bool_or(s.told <> '')
		order by s.definition, s.trigger`)
}

// ForgetSchedule records that Temporal has no schedule of a trigger any more.
func (db *DB) ForgetSchedule(ctx context.Context, r ScheduleRef) error {
	_, err := db.pool.Exec(ctx, `update schedules set told = '', told_at = null where definition = $1 and trigger = $2`, r.Definition, r.Trigger)
	return translate(err)
}

// ScheduleTold records what Temporal was told of a trigger, and when that was by its clock.
func (db *DB) ScheduleTold(ctx context.Context, r ScheduleRef, told string, at time.Time) error {
	_, err := db.pool.Exec(ctx, `
		update schedules set told = $4, told_at = $5 where definition = $1 and version = $2 and trigger = $3`,
		r.Definition, r.Version, r.Trigger, told, at)
	return translate(err)
}

// ScheduleSeen records what Temporal says of a trigger.
func (db *DB) ScheduleSeen(ctx context.Context, r ScheduleRef, paused bool, note string) error {
	_, err := db.pool.Exec(ctx, `
		update schedules set paused = $4, note = $5, looked_at = $6 where definition = $1 and version = $2 and trigger = $3`,
		r.Definition, r.Version, r.Trigger, paused, note, db.clock())
	return translate(err)
}

// accountedEvery is how old the account of a schedule may get that did not fire meanwhile.
const accountedEvery = time.Hour

// DueSchedules lists the triggers that have firings to be accounted for by an instant, each once.
func (db *DB) DueSchedules(ctx context.Context, by time.Time) ([]ScheduleRef, error) {
	rows, err := collect[struct {
		ScheduleRef
		Accounted time.Time
	}](ctx, db.pool, `
		select definition, version, trigger, accounted from schedules
		where accounted < least(live_until, $1) order by definition, trigger`, by)
	if err != nil {
		return nil, err
	}
	var due []ScheduleRef
	for _, r := range rows {
		if n := len(due); n > 0 && due[n-1].Definition == r.Definition && due[n-1].Trigger == r.Trigger {
			continue
		}
		version, err := db.Published(ctx, r.Definition, r.Version)
		if err != nil {
			return due, err
		}
		next, fires := version.Triggers[r.Trigger].Schedule.Next(r.Accounted, version.Document.Zone())
		if fires && !next.At.After(by) || by.Sub(r.Accounted) > accountedEvery {
			due = append(due, r.ScheduleRef)
		}
	}
	return due, nil
}
