package rig

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

// The faults. Each has a target, which is a process, or "" where it concerns all.
const (
	Kill       = "kill -9"                   // and start it again after a while
	Stop       = "SIGSTOP"                   // and SIGCONT after a while
	CutBase    = "cut from PostgreSQL"       // its connections break and no new ones come about
	CutTemp    = "cut from Temporal"         //
	SlowBase   = "slow to PostgreSQL"        // some milliseconds each way
	LostReply  = "replies of PostgreSQL cut" // behind some bytes, also those that tell of a commit
	LostAnswer = "answers of its API cut"    // behind the first bytes, mostly none
	Terminate  = "backends terminated"       // half of the connections to the database, by the database
)

// Fault is one thing that the plan does to the service.
type Fault struct {
	At     time.Duration // since the load began
	Kind   string
	Target string
	For    time.Duration // until it is healed
	Size   int           // bytes that come through, or milliseconds
}

func (f Fault) String() string {
	return fmt.Sprintf("%6.1fs  %s %s for %s (%d)", f.At.Seconds(), f.Target, f.Kind, f.For, f.Size)
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

// NewPlan draws faults for a load of some length: the same ones for the same seed. Each process is
// killed, stopped and cut off for short times; two faults may overlap.
func NewPlan(seed uint64, length time.Duration, serves, workers []string) Plan {
	r := rand.New(rand.NewPCG(seed, 1))
	all := slices.Concat(serves, workers)
	var plan Plan
	for at := 500 * time.Millisecond; at < length; at += time.Duration(400+r.IntN(1600)) * time.Millisecond {
		f := Fault{At: at, Target: all[r.IntN(len(all))], For: time.Duration(300+r.IntN(2700)) * time.Millisecond}
		switch n := r.IntN(100); {
		case n < 28:
			f.Kind, f.For = Kill, time.Duration(r.IntN(1500))*time.Millisecond
		case n < 44:
			f.Kind = Stop
		case n < 55:
			f.Kind = CutBase
		case n < 66:
			f.Kind = CutTemp
		case n < 72:
			f.Kind, f.Size = SlowBase, 5+r.IntN(60)
		case n < 86:
			f.Kind, f.Size = LostReply, 100+r.IntN(4000)
		case n < 96:
			f.Kind, f.Target = LostAnswer, serves[r.IntN(len(serves))]
			if r.IntN(3) == 0 {
				f.Size = 1 + r.IntN(200)
			}
		default:
			f.Kind, f.Target = Terminate, ""
		}
		plan = append(plan, f)
	}
	return plan
}
