package filter_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"rollcall/filter"
)

func TestLoadZone(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"UTC", "Europe/Warsaw", "America/Argentina/Buenos_Aires"} {
		t.Run(name+" is a zone", func(t *testing.T) {
			t.Parallel()
			zone, err := filter.LoadZone(name)
			require.NoError(t, err)
			require.Equal(t, name, zone.String())
		})
	}
	for _, name := range []string{"", "Local", "Mars/Olympus", "+01:00", "../../etc/passwd", "Europe/Warsaw\x00"} {
		t.Run(name+" is no zone", func(t *testing.T) {
			t.Parallel()
			_, err := filter.LoadZone(name)
			require.Error(t, err)
		})
	}
}
