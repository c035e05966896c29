package automation_test

import (
	"archive/zip"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rollcall/automation"
)

func TestFiveYearsOfFiringsAreThoseOfAWalkThroughTheMinutes(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("walks through 26 million minutes")
	}
	days := map[automation.Every][]automation.ScheduleDay{
		automation.EveryDay: nil, automation.EveryWeek: {"monday", "sunday"}, automation.EveryMonth: {"31", "last", "first sunday"}, automation.EveryYear: {"02-29", "03-28"},
	}
	kinds := []automation.Every{automation.EveryDay, automation.EveryWeek, automation.EveryMonth, automation.EveryYear}
	for i, name := range []string{
		"Europe/Warsaw", "America/New_York", "America/St_Johns", "America/Havana", "America/Santiago",
		"Africa/Cairo", "Africa/Casablanca", "Asia/Beirut", "Australia/Lord_Howe", "Antarctica/Troll",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			zone, err := time.LoadLocation(name)
			require.NoError(t, err)
			every := kinds[i%len(kinds)]
			s := automation.Schedule{Every: every, On: days[every], At: []string{"00:30", "02:30"}[i%2]}
			w := window{zone: zone, from: time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC), until: time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)}
			require.Equal(t, walk(s, w), s.Between(w.from, w.until, zone))
		})
	}
}

func TestEveryZoneFiresOnceAtEveryChangeOfItsClocks(t *testing.T) {
	t.Parallel()
	archive, err := zip.OpenReader(filepath.Join(runtime.GOROOT(), "lib", "time", "zoneinfo.zip")) //nolint:staticcheck // the list of zones has no other place
	if err != nil {
		t.Skip("there is no list of zones here:", err)
	}
	defer func() { _ = archive.Close() }()
	zones := 0
	for _, file := range archive.File {
		zone, err := time.LoadLocation(strings.TrimSuffix(file.Name, "/"))
		if err != nil || strings.HasSuffix(file.Name, "/") {
			continue
		}
		zones++
		day := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
		for range 2 { // into the one time and out of it
			_, change := day.In(zone).ZoneBounds()
			if change.IsZero() || change.Year() > 2027 {
				break
			}
			day = change.AddDate(0, 0, 1).UTC()
			w := window{zone: zone, from: change.Add(-26 * time.Hour).UTC(), until: change.Add(26 * time.Hour).UTC()}
			for _, minutes := range []int{-30, 0, 30} {
				s := automation.Schedule{Every: automation.EveryDay, At: change.Add(time.Duration(minutes) * time.Minute).Format("15:04")}
				require.Equal(t, walk(s, w), s.Between(w.from, w.until, zone), "%s at %s around %s", file.Name, s.At, change)
			}
		}
	}
	require.Greater(t, zones, 400)
}
