package rig

import (
	"fmt"
	"math/rand/v2"
	"time"
)

// versions is how many different versions a drawn program has; further ones repeat them.
const versions = 3

// Drawn draws programs: the same ones for the same seed. Each is entered by an event of its own with a
// number, its versions differ in their steps, and everybody comes to an end in it.
func Drawn(seed uint64, count int) []*Program {
	var programs []*Program
	for i := range count {
		name := fmt.Sprintf("drawn_%d", i+1)
		all := make([][]Step, versions)
		for v := range all {
			d := &drawer{r: rand.New(rand.NewPCG(seed, 1000+uint64(i*versions+v))), program: name}
			all[v] = append(d.steps(5, 2), d.step(webhook))
		}
		programs = append(programs, &Program{Name: name, Event: name + "_begun", Ends: true, versions: all})
	}
	return programs
}

// drawer draws the steps of one version.
type drawer struct {
	r       *rand.Rand
	program string
	last    int    // number of the step that was drawn last
	spoke   string // an output of a step before, that a call can tell of
	waited  string // a wait before
	loops   int
}

func (d *drawer) step(kind string) Step {
	d.last++
	return Step{ID: fmt.Sprintf("s%d", d.last), Kind: kind}
}

// counter is the property that the steps of the program count up, and nobody else.
func (d *drawer) counter() string { return d.program + "_count" }

// steps draws up to so many steps, with branches nested so deep. What a step can refer to are those that
// are sure to come before it.
func (d *drawer) steps(most, depth int) []Step {
	var steps []Step
	for range 1 + d.r.IntN(most) {
		s := d.draw(depth)
		steps = append(steps, s)
		if s.Kind != branch && d.loops == 0 && d.r.IntN(5) == 0 {
			d.loops++
			back := d.step(jump)
			back.To, back.AtMost = s.ID, 1+d.r.IntN(2)
			steps = append(steps, back)
		}
	}
	return steps
}

func (d *drawer) draw(depth int) Step {
	n := d.r.IntN(100)
	switch {
	case n < 22:
		s := d.step(increment)
		s.Adds = d.counter()
		return s
	case n < 42:
		s := d.step(webhook)
		s.Tells = d.spoke
		return s
	case n < 52:
		s := d.step(format)
		d.spoke = s.ID + ".tag"
		return s
	case n < 60:
		s := d.step(delay)
		s.For = time.Second
		return s
	case n < 70:
		s := d.step(waitFor)
		s.Awaits, s.For = "ticket_closed", time.Duration(1+d.r.IntN(2))*time.Second
		d.spoke, d.waited = s.ID+".outcome", s.ID
		return s
	case n < 76:
		s := d.step(enroll)
		s.Into = Errands
		return s
	case n < 82:
		s := d.step(webhook)
		s.Fails = true
		s.Rescue = d.inside(2, 0)
		return s
	case depth > 0:
		return d.fork(n, depth)
	default:
		return d.step(webhook)
	}
}

// fork draws a branch or a split.
func (d *drawer) fork(n, depth int) Step {
	s := d.step(branch)
	switch {
	case n < 86:
		s.Kind = split
	case n < 91:
		s.If = Question{Event: true, Least: 1 + d.r.IntN(8)}
	case n < 95 || d.waited == "":
		s.If = Question{Counter: d.counter(), Least: 1 + d.r.IntN(6)}
	default:
		s.If = Question{Wait: d.waited}
	}
	s.Arms = [][]Step{d.inside(2, depth-1), d.inside(2, depth-1)}
	if s.Kind == branch && d.r.IntN(4) == 0 {
		s.Arms[1] = append(s.Arms[1], d.step(exit))
	}
	return s
}

// inside draws steps that may not be come by: those behind cannot refer to them.
func (d *drawer) inside(most, depth int) []Step {
	spoke, waited := d.spoke, d.waited
	steps := d.steps(most, depth)
	d.spoke, d.waited = spoke, waited
	return steps
}
