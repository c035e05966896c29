package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"rollcall/devstack/temporald"
)

// partVariable says in the environment which part of the command a child is.
const partVariable = "ROLLCALL_BENCH_PART"

// part is what can run in a process of its own. It is read from the child's input as JSON, and given
// back with where it answers.
type part interface {
	name() string
	// start starts the part, notes where it answers, and returns what stops it.
	start(ctx context.Context) (stop func() error, err error)
}

// temporalPart is an embedded Temporal.
type temporalPart struct {
	PostgresURL string
	Address     string // where it answers
}

func (*temporalPart) name() string { return "temporal" }

func (p *temporalPart) start(ctx context.Context) (func() error, error) {
	s, err := temporald.Start(ctx, temporald.Config{PostgresURL: p.PostgresURL})
	if err != nil {
		return nil, err
	}
	p.Address = s.FrontendAddr()
	return func() error { s.Stop(); return nil }, nil
}

// servicePart is a whole Rollcall.
type servicePart struct {
	DatabaseURL     string
	TemporalAddress string // "": as the environment says
	Namespace       string
	Sink            netip.AddrPort
	Address         string // of its API
}

func (*servicePart) name() string { return "service" }

func (p *servicePart) start(ctx context.Context) (func() error, error) {
	options, err := temporalOptions(p.TemporalAddress)
	if err != nil {
		return nil, err
	}
	options.Namespace = p.Namespace
	r, err := serve(ctx, &place{databaseURL: p.DatabaseURL, temporal: options}, p.Sink, slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, err
	}
	p.Address = r.app.Addr()
	return r.close, nil
}

// runPart is what a child does: it starts a part, says where that answers, and stops it when its
// input ends, which it does with the parent, however that ends.
func runPart(ctx context.Context, name string, in io.Reader, out io.Writer) error {
	var p part
	for _, one := range []part{&temporalPart{}, &servicePart{}} {
		if one.name() == name {
			p = one
		}
	}
	if p == nil {
		return fmt.Errorf("%s=%s: there is no such part", partVariable, name)
	}
	if err := json.NewDecoder(in).Decode(p); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	stop, err := p.start(ctx)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	if err := json.NewEncoder(out).Encode(p); err != nil {
		return errors.Join(err, stop())
	}
	_, err = io.Copy(io.Discard, in)
	return errors.Join(err, inTime(stop))
}

// stopLimit is how long a part may take to stop: what it talks to may be gone already.
const stopLimit = 30 * time.Second

// inTime stops a part, or gives that up.
func inTime(stop func() error) error {
	stopped := make(chan error, 1)
	go func() { stopped <- stop() }()
	select {
	case err := <-stopped:
		return err
	case <-time.After(stopLimit):
		return fmt.Errorf("it does not stop within %s", stopLimit)
	}
}

// child is a part that runs in a process of its own.
type child struct {
	cmd   *exec.Cmd
	input io.Closer
}

// startChild runs this program once more for a part, which it fills with where that answers.
func startChild(ctx context.Context, p part) (*child, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(context.WithoutCancel(ctx), self)
	cmd.Env = append(os.Environ(), partVariable+"="+p.name())
	cmd.Stderr = os.Stderr
	input, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	output, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	c := &child{cmd, input}
	defer context.AfterFunc(ctx, func() { _ = cmd.Process.Kill() })()
	if err := json.NewEncoder(input).Encode(p); err != nil {
		return nil, errors.Join(err, c.stop())
	}
	if err := json.NewDecoder(output).Decode(p); err != nil {
		return nil, errors.Join(err, c.stop())
	}
	return c, nil
}

// stop ends the part in order, and returns when its process is gone.
func (c *child) stop() error {
	_ = c.input.Close()
	return c.cmd.Wait()
}

// memory is how many bytes of memory the process occupies. It is an error where the kernel does not
// say.
func (c *child) memory() (int64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", c.cmd.Process.Pid))
	if err != nil {
		return 0, fmt.Errorf("memory of a process: %w", err)
	}
	return resident(string(text))
}

// resident reads the memory from what the kernel says of a process.
func resident(status string) (int64, error) {
	for line := range strings.Lines(status) {
		if size, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kib, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(size), " kB"), 10, 64)
			return kib << 10, err
		}
	}
	return 0, errors.New("memory of a process: the kernel does not say it")
}
