//go:build unix

package rig_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"syscall"
	"time"

	toxiproxy "github.com/Shopify/toxiproxy/v2"

	"rollcall/rig"
)

// nemesis carries out a plan and remembers what it did when.
type nemesis struct {
	*cluster
	began     time.Time
	terminate func() error // half of the backends

	mu    sync.Mutex
	deeds []string
	ends  []rig.OrderlyEnd
	group sync.WaitGroup
	busy  map[string]*sync.Mutex // by place: one fault of a kind at a time
}

func newNemesis(c *cluster, terminate func() error) *nemesis {
	return &nemesis{cluster: c, terminate: terminate, busy: map[string]*sync.Mutex{}}
}

func (n *nemesis) note(format string, args ...any) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.deeds = append(n.deeds, fmt.Sprintf("%6.1fs  ", time.Since(n.began).Seconds())+fmt.Sprintf(format, args...))
}

// carryOut does what the plan says, and heals all in the end.
func (n *nemesis) carryOut(ctx context.Context, plan rig.Plan) {
	n.began = time.Now()
	for _, f := range plan {
		if !wait(ctx, time.Until(n.began.Add(f.At))) {
			break
		}
		n.group.Go(func() { n.strike(ctx, f) })
	}
	n.group.Wait()
}

func wait(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

// strike does one fault and heals it.
func (n *nemesis) strike(ctx context.Context, f rig.Fault) {
	turn := n.turn(f)
	turn.Lock()
	defer turn.Unlock()
	n.note("%s %s", f.Place(), f.Kind)
	if err := n.inflict(ctx, f); err != nil {
		n.note("%s %s: %s", f.Place(), f.Kind, err)
	}
	n.note("%s %s, healed", f.Place(), f.Kind)
}

// turn is what only one fault has at a time: the process, or the fault of a connection.
func (n *nemesis) turn(f rig.Fault) *sync.Mutex {
	place := f.Place()
	if f.Peer != "" {
		place += f.Kind
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.busy[place] == nil {
		n.busy[place] = &sync.Mutex{}
	}
	return n.busy[place]
}

// inflict does one fault, waits, and heals it.
func (n *nemesis) inflict(ctx context.Context, f rig.Fault) error {
	switch {
	case f.Kind == rig.Terminate:
		return n.terminate()
	case f.Kind == rig.FullDisk:
		return n.base.fill(ctx, f.For)
	case f.Target == rig.PostgreSQL:
		n.base.kill()
		wait(ctx, f.For)
		return n.base.start()
	case f.Peer != "":
		return disturb(ctx, n.all[f.Target].links[f.Peer], f)
	}
	p := n.all[f.Target]
	switch f.Kind {
	case rig.Kill:
		p.kill()
	case rig.Stop:
		p.signal(syscall.SIGSTOP)
		wait(ctx, f.For)
		p.signal(syscall.SIGCONT)
		return nil
	case rig.End:
		took := p.end(endLimit)
		n.mu.Lock()
		n.ends = append(n.ends, rig.OrderlyEnd{Process: p.name, Took: took})
		n.mu.Unlock()
	}
	wait(ctx, f.For)
	return p.start()
}

// endLimit is longer than a process may take to end in order.
const endLimit = 45 * time.Second

// toxic is what a proxy does to the streams that flow through it.
type toxic struct {
	kind       string
	streams    []string
	attributes string // with the size in it
}

var (
	both    = []string{"upstream", "downstream"}
	answers = both[1:]
	toxics  = map[string]toxic{
		rig.Silent: {"timeout", both, `{"timeout": 0}`},
		rig.Deaf:   {"timeout", answers, `{"timeout": 0}`},
		rig.Reset:  {"reset_peer", answers, `{"timeout": 0}`},
		rig.Lost:   {"limit_data", answers, `{"bytes": %d}`},
		rig.Slow:   {"latency", answers, `{"latency": %d, "jitter": 5}`},
		rig.Sliced: {"slicer", answers, `{"average_size": %d, "size_variation": 10, "delay": 10}`},
	}
)

// disturb lets a connection have a fault for a while.
func disturb(ctx context.Context, p *toxiproxy.Proxy, f rig.Fault) error {
	if f.Kind == rig.Cut {
		p.Stop()
		wait(ctx, f.For)
		return p.Start()
	}
	x := toxics[f.Kind]
	attributes := x.attributes
	if strings.Contains(attributes, "%d") {
		attributes = fmt.Sprintf(attributes, f.Size)
	}
	var names []string
	var err error
	for _, stream := range x.streams {
		name := f.Kind + " " + stream
		text := fmt.Sprintf(`{"name": %q, "type": %q, "stream": %q, "attributes": %s}`, name, x.kind, stream, attributes)
		if _, err = p.Toxics.AddToxicJson(strings.NewReader(text)); err != nil {
			break
		}
		names = append(names, name)
	}
	wait(ctx, f.For)
	for _, name := range names {
		if healed := p.Toxics.RemoveToxic(context.Background(), name); err == nil {
			err = healed
		}
	}
	return err
}
