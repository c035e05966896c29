package rig

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

// The faults that a process can have, and those of all at once.
const (
	Kill      = "kill -9"             // and start it again after a while
	Stop      = "SIGSTOP"             // and SIGCONT after a while
	End       = "SIGTERM"             // and start it again once it has ended in order
	Terminate = "backends terminated" // half of the connections to the database, by the database
	FullDisk  = "disk full"           // PostgreSQL cannot write what it has no room for
)

// The faults that a connection can have. All of them end the connections that there are when they are
// healed, but for Slow and Sliced.
const (
	Cut    = "cut"         // connections break and no new ones come about
	Silent = "silent"      // nothing passes, in neither direction, and nobody is told
	Deaf   = "deaf"        // what is asked arrives, what is answered does not, and nobody is told
	Reset  = "reset"       // what is answered resets the connection
	Lost   = "replies cut" // behind some bytes, also those that tell of a commit
	Slow   = "slow"        // some milliseconds before each answer
	Sliced = "sliced"      // answers come in pieces of some bytes
)

// The servers that the processes of the service share.
const (
	PostgreSQL = "PostgreSQL"
	Temporal   = "Temporal"
)

// API is the end of a link where clients are.
const API = "its clients"

// Fault is one thing that the plan does.
type Fault struct {
	At     time.Duration // since the load began
	Kind   string
	Target string // a process; "" where it concerns all
	Peer   string // the other end, of a fault of a connection
	For    time.Duration
	Size   int // bytes that come through, of a piece, or milliseconds
}

// Place is what the fault is done to. Two faults of one place and kind at a time cannot be told apart.
func (f Fault) Place() string {
	if f.Peer == "" {
		return f.Target
	}
	return f.Target + " and " + f.Peer
}

func (f Fault) String() string {
	return fmt.Sprintf("%6.1fs  %s %s for %s (%d)", f.At.Seconds(), f.Place(), f.Kind, f.For, f.Size)
}

// Plan is the list of faults that a seed stands for.
type Plan []Fault

func (p Plan) String() string {
	lines := make([]string, len(p))
	for i, f := range p {
		lines[i] = f.String()
	}
	return strings.Join(lines, "\n")
}

// hazard is a kind of fault as the plan draws it.
type hazard struct {
	kind    string
	weight  int
	targets func(s Stage) []string
	peers   []string
	longest time.Duration
	size    [2]int // the least and how many more; not drawn where both are 0
}

// Stage is what there is to break.
type Stage struct {
	Serves, Workers []string
	Disk            bool // PostgreSQL has a disk that can be filled
}

func (s Stage) services() []string { return append(append([]string{}, s.Serves...), s.Workers...) }

func (s Stage) clientsOfBase() []string { return append(s.services(), Temporal) }

func serves(s Stage) []string { return s.Serves }

func only(name string) func(Stage) []string { return func(Stage) []string { return []string{name} } }

// disk is PostgreSQL where its disk can be filled.
func disk(s Stage) []string {
	if s.Disk {
		return []string{PostgreSQL}
	}
	return nil
}

var hazards = []hazard{
	{kind: Kill, weight: 18, targets: Stage.services, longest: 1500 * time.Millisecond},
	{kind: Kill, weight: 4, targets: only(Temporal), longest: 500 * time.Millisecond},
	{kind: Kill, weight: 4, targets: only(PostgreSQL), longest: 500 * time.Millisecond},
	{kind: Stop, weight: 12, targets: Stage.services, longest: 3 * time.Second},
	{kind: Stop, weight: 2, targets: only(Temporal), longest: 3 * time.Second},
	{kind: End, weight: 8, targets: Stage.services, longest: 500 * time.Millisecond},
	{kind: FullDisk, weight: 3, targets: disk, longest: 2 * time.Second},
	{kind: Terminate, weight: 4, targets: only("")},
	{kind: Cut, weight: 8, targets: Stage.clientsOfBase, peers: []string{PostgreSQL}, longest: 3 * time.Second},
	{kind: Cut, weight: 6, targets: Stage.services, peers: []string{Temporal}, longest: 3 * time.Second},
	{kind: Silent, weight: 6, targets: Stage.clientsOfBase, peers: []string{PostgreSQL}, longest: 4 * time.Second},
	{kind: Silent, weight: 4, targets: Stage.services, peers: []string{Temporal}, longest: 4 * time.Second},
	{kind: Deaf, weight: 5, targets: Stage.clientsOfBase, peers: []string{PostgreSQL}, longest: 3 * time.Second},
	{kind: Deaf, weight: 4, targets: Stage.services, peers: []string{Temporal}, longest: 3 * time.Second},
	{kind: Deaf, weight: 3, targets: serves, peers: []string{API}, longest: 2 * time.Second},
	{kind: Reset, weight: 4, targets: Stage.services, peers: []string{PostgreSQL, Temporal}, longest: 2 * time.Second},
	{kind: Lost, weight: 11, targets: Stage.services, peers: []string{PostgreSQL}, longest: 3 * time.Second, size: [2]int{100, 4000}},
	{kind: Lost, weight: 6, targets: serves, peers: []string{API}, longest: 3 * time.Second, size: [2]int{1, 200}},
	{kind: Cut, weight: 3, targets: serves, peers: []string{API}, longest: 2 * time.Second},
	{kind: Slow, weight: 4, targets: Stage.services, peers: []string{PostgreSQL}, longest: 3 * time.Second, size: [2]int{5, 60}},
	{kind: Sliced, weight: 3, targets: Stage.services, peers: []string{PostgreSQL, Temporal}, longest: 3 * time.Second, size: [2]int{20, 200}},
}

// NewPlan draws faults for a load of some length: the same ones for the same seed. Two faults may overlap.
// Each server is killed at least once, and a worker asked to end.
func NewPlan(seed uint64, length time.Duration, s Stage) Plan {
	r := rand.New(rand.NewPCG(seed, 1))
	var plan Plan
	for at := 500 * time.Millisecond; at < length; at += time.Duration(400+r.IntN(1600)) * time.Millisecond {
		if f, ok := draw(r, s); ok {
			f.At = at
			plan = append(plan, f)
		}
	}
	for i, sure := range []Fault{{Kind: Kill, Target: PostgreSQL}, {Kind: Kill, Target: Temporal}, {Kind: End, Target: s.Workers[0]}} {
		there := slices.ContainsFunc(plan, func(f Fault) bool { return f.Kind == sure.Kind && f.Target == sure.Target })
		if at := (i + 1) * len(plan) / 4; !there && at < len(plan) {
			sure.At, sure.For = plan[at].At, 200*time.Millisecond
			plan[at] = sure
		}
	}
	return plan
}

// draw draws a fault. There is none where its kind has no target on this stage.
func draw(r *rand.Rand, s Stage) (f Fault, ok bool) {
	total := 0
	for _, h := range hazards {
		total += h.weight
	}
	at := r.IntN(total)
	for _, h := range hazards {
		if at -= h.weight; at >= 0 {
			continue
		}
		targets := h.targets(s)
		if len(targets) == 0 {
			return Fault{}, false
		}
		f = Fault{Kind: h.kind, Target: targets[r.IntN(len(targets))]}
		if len(h.peers) > 0 {
			f.Peer = h.peers[r.IntN(len(h.peers))]
		}
		if h.longest > 0 {
			f.For = (h.longest/10 + time.Duration(r.Int64N(int64(h.longest)))).Truncate(time.Millisecond)
		}
		if h.size[1] > 0 {
			f.Size = h.size[0] + r.IntN(h.size[1])
		}
		return f, true
	}
	return Fault{}, false
}
