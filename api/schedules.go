package api

import (
	"context"
	"time"

	"rollcall/automation"
	"rollcall/triggers"
)

// shownRuns is how many of the next firings of each schedule are shown.
const shownRuns = 5

// NextRun is an instant at which a schedule trigger will fire.
type NextRun struct {
	Trigger int       `json:"trigger" doc:"The position of the trigger."`
	Local   string    `json:"local" doc:"In the time zone of the schedule."`
	UTC     time.Time `json:"utc"`
}

// nextRuns are the next firings of each schedule of a document.
func nextRuns(d *automation.Document) []NextRun {
	runs := []NextRun{}
	for i, t := range d.Triggers {
		if t.Schedule == nil {
			continue
		}
		zone := t.Schedule.Zone(d.Zone())
		for _, f := range t.Schedule.Upcoming(time.Now(), d.Zone(), shownRuns) {
			runs = append(runs, NextRun{Trigger: i, Local: f.At.In(zone).Format(time.RFC3339), UTC: f.At})
		}
	}
	return runs
}

// ScheduleOut is how a schedule trigger stands in Temporal.
type ScheduleOut struct {
	Trigger            int    `json:"trigger" doc:"The position of the trigger."`
	TemporalScheduleID string `json:"temporal_schedule_id"`
	When               string `json:"when" doc:"In words."`
	Paused             bool   `json:"paused" doc:"With its workflow, or by an operator in Temporal; then it does not fire."`
	Note               string `json:"note,omitempty" doc:"What Temporal says about it; empty until it was looked at."`
}

// addSchedules shows the schedules of a definition and when they fire next. One that is paused fires
// not at all.
func (s *server) addSchedules(ctx context.Context, d *automation.Definition, w *Workflow) error {
	document, err := automation.ParseDocument(d.Draft)
	if err != nil {
		return err
	}
	document = s.DB.Localized(document)
	states, err := s.DB.Schedules(ctx, d.Name)
	if err != nil {
		return err
	}
	paused := map[int]bool{}
	if d.LiveVersion > 0 {
		version, err := s.DB.Published(ctx, d.Name, d.LiveVersion)
		if err != nil {
			return err
		}
		document = version.Document
		for _, state := range states {
			if state.Version != d.LiveVersion {
				continue // it was published meanwhile
			}
			paused[state.Trigger] = state.Paused || d.Status == automation.Paused
			w.Schedules = append(w.Schedules, ScheduleOut{
				Trigger: state.Trigger, TemporalScheduleID: triggers.ScheduleID(state.ScheduleRef),
				When: document.Triggers[state.Trigger].Schedule.String(), Paused: paused[state.Trigger], Note: state.Note,
			})
		}
	}
	if d.Status == automation.Archived {
		return nil
	}
	for _, r := range nextRuns(document) {
		if !paused[r.Trigger] {
			w.NextRuns = append(w.NextRuns, r)
		}
	}
	return nil
}
