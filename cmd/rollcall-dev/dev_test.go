package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// dev is one run of rollcall-dev.
type dev struct {
	t      *testing.T
	at     addresses
	stop   context.CancelFunc
	done   chan error
	output *bytes.Buffer
}

// launch runs rollcall-dev on a folder until stop.
func launch(t *testing.T, dir string) *dev {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	d := &dev{t: t, stop: cancel, done: make(chan error, 1), output: &bytes.Buffer{}}
	t.Cleanup(cancel)
	ready := filepath.Join(dir, "ready.json")
	_ = os.Remove(ready)
	args := []string{
		"-api", "127.0.0.1:0", "-temporal", "127.0.0.1:0", "-ui", "127.0.0.1:0", "-world", "127.0.0.1:0",
		"-data", filepath.Join(dir, "data"), "-ready-file", ready,
	}
	go func() {
		d.done <- run(ctx, args, func(string) string { return "" }, d.output, t.Output())
	}()
	d.until("ready", time.Minute, func() bool {
		text, err := os.ReadFile(ready)
		return err == nil && json.Unmarshal(text, &d.at) == nil
	})
	return d
}

func (d *dev) until(what string, limit time.Duration, holds func() bool) {
	d.t.Helper()
	for deadline := time.Now().Add(limit); !holds(); {
		select {
		case err := <-d.done:
			require.Fail(d.t, "rollcall-dev ended", "%v", err)
		case <-time.After(20 * time.Millisecond):
		}
		require.True(d.t, time.Now().Before(deadline), "waited too long until %s", what)
	}
}

func (d *dev) end() {
	d.t.Helper()
	d.stop()
	require.NoError(d.t, <-d.done)
	require.Contains(d.t, d.output.String(), "Stopping")
}

func (d *dev) get(address string) string {
	d.t.Helper()
	req, err := http.NewRequestWithContext(d.t.Context(), http.MethodGet, address, nil)
	require.NoError(d.t, err)
	resp, err := http.DefaultClient.Do(req)
	require.NoError(d.t, err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	require.NoError(d.t, err)
	require.Equal(d.t, http.StatusOK, resp.StatusCode, string(text))
	return string(text)
}

// reachable is a folder that the account of PostgreSQL can reach too.
func reachable(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "rollcall-dev-")
	require.NoError(t, err)
	require.NoError(t, os.Chmod(dir, 0o755))
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

var shellBlock = regexp.MustCompile("(?s)```sh\n(.*?)```")

func TestReadmeWorksAndASecondStartFindsEverything(t *testing.T) {
	t.Parallel()
	dir := reachable(t)
	d := launch(t, dir)
	readme, err := os.ReadFile("../../README.md")
	require.NoError(t, err)
	commands := 0
	for _, block := range shellBlock.FindAllStringSubmatch(string(readme), -1) {
		if !strings.Contains(block[1], "curl") {
			continue
		}
		commands++
		script := strings.ReplaceAll(block[1], "http://127.0.0.1:8080", d.at.API)
		script = "set -e\n" + strings.ReplaceAll(script, "curl ", "curl -sS --fail-with-body ")
		cmd := exec.CommandContext(t.Context(), "bash", "-c", script)
		cmd.Dir = dir
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, "%s\n%s", script, out)
	}
	require.Equal(t, 2, commands)
	d.until("both mails are in the world", 20*time.Second, func() bool {
		outbox := d.get(d.at.World + "/outbox?kind=email")
		return strings.Contains(outbox, "Welcome, Ada!") && strings.Contains(outbox, "You signed up for pro.")
	})
	require.Contains(t, d.get(d.at.World), "Welcome, Ada!")
	require.Contains(t, d.get(d.at.UI+"/namespaces/default/workflows"), "<html")
	waiting := d.get(d.at.API + "/v1/enrollments?user=u_100&workflow=welcome")
	require.Contains(t, waiting, `"step":"settle"`)
	d.end()

	d = launch(t, dir)
	require.Contains(t, d.get(d.at.API+"/v1/enrollments?user=u_100&workflow=welcome"), `"step":"settle"`, "the delay goes on")
	require.Contains(t, d.get(d.at.World+"/outbox?kind=email"), "Welcome, Ada!")
	require.Equal(t, 1, strings.Count(d.get(d.at.API+"/v1/workflows/welcome/versions"), `"number"`), "it is not seeded again")
	d.end()
}

func TestAddressOutsideLoopbackIsRefused(t *testing.T) {
	t.Parallel()
	err := run(t.Context(), []string{"-api", "0.0.0.0:8080"}, os.Getenv, io.Discard, io.Discard)
	require.ErrorContains(t, err, "-api 0.0.0.0:8080: rollcall-dev has no keys and listens on loopback only")
}
