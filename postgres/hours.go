package postgres

import (
	"context"
	"fmt"
	"time"

	"rollcall/automation"
	"rollcall/filter"
)

// ShutError says that an action must not start at this hour.
type ShutError struct {
	Until time.Time // when it may
	Shown string    // that instant in the zone in which the hours are read
}

func (e *ShutError) Error() string { return "outside of the hours of the workflow, until " + e.Shown }

// checkHours returns a *ShutError outside of the hours of a definition, and records that the visit is
// held. It says nothing about an enrollment that is not live: the gate does.
func (db *DB) checkHours(ctx context.Context, q querier, ref VisitRef, kind string) error {
	if !ref.Hours {
		return nil
	}
	version, zone, err := db.versionOf(ctx, q, ref.EnrollmentID)
	if err != nil || version.Document.Hours == nil {
		return err
	}
	now := db.clockOf(ref)
	shut, err := version.shut(now, zone, ref)
	if shut == nil || err != nil {
		return err
	}
	tag, err := q.Exec(ctx, `
		with live as (
			update enrollments e set status = 'active', step = $2, started_at = coalesce(started_at, $5), waiting_until = $6
			where e.id = $1 and `+carried(`$7`)+` and not exists (
				select from visits where enrollment_id = $1 and step = $2 and visit = $3 and status in ('done', 'skipped')) returning id
		), waited as (
			update visits v set status = 'done', finished_at = $5 from live where v.enrollment_id = $1 and `+passed+`
		)
		insert into visits as v (enrollment_id, step, visit, kind, status, attempts, until, started_at)
		select id, $2, $3, $4, 'held', 0, $6, $5 from live
		on conflict (enrollment_id, step, visit) do update set status = 'held', until = excluded.until where v.status not in ('done', 'skipped')`,
		ref.EnrollmentID, ref.Step, ref.Visit, kind, now, shut.Until, ref.Attended)
	if err != nil || tag.RowsAffected() == 0 { // it has ended, or the action is done
		return err
	}
	return shut
}

// versionOf is the version that an enrollment is in, and the zone in which that shows times to its user.
func (db *DB) versionOf(ctx context.Context, q querier, enrollmentID string) (*Published, *time.Location, error) {
	e, err := one[struct {
		Definition string
		Version    int
		Zone       string
	}](ctx, q, `
		select e.definition, e.version, coalesce(u.properties ->> 'time_zone', '') as zone
		from enrollments e left join users u on u.id = e.user_id where e.id = $1`, enrollmentID)
	if err != nil {
		return nil, nil, err
	}
	version, err := db.published(ctx, q, e.Definition, e.Version)
	if err != nil {
		return nil, nil, err
	}
	return version, version.local(e.Zone), nil
}

// shut is until when a step of an enrollment must not start; nil where it may now.
func (p *Published) shut(now time.Time, zone *time.Location, ref VisitRef) (*ShutError, error) {
	if p.Document.Hours == nil {
		return nil, nil
	}
	calendar := p.hours
	calendar.Zone = zone
	open, closes, ok := p.Document.Hours.NextOpen(now, calendar)
	if !ok {
		return nil, fmt.Errorf("the hours of the workflow never come again: %w", automation.ErrInvalid)
	}
	if !open.After(now) {
		return nil, nil
	}
	until := p.Document.Hours.Release(open, closes, ref.EnrollmentID+"/"+ref.Step).UTC()
	return &ShutError{until, shownIn(until, zone)}, nil
}

// local is the zone in which the version reads and shows times for a user whose own zone has that name.
func (p *Published) local(own string) *time.Location {
	if p.Document.TimeZone == filter.OwnZone {
		if zone, err := filter.LoadZone(own); err == nil {
			return zone
		}
	}
	return p.Document.Zone()
}

// shownIn is an instant for people.
func shownIn(at time.Time, zone *time.Location) string {
	return at.In(zone).Format("Mon 2 Jan 2006 15:04:05 MST")
}
