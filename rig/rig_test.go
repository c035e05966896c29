//go:build unix

package rig_test

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"
	"golang.org/x/sync/errgroup"

	"rollcall/rig"
)

var (
	seed    = flag.Uint64("seed", 1, "of users, faults and receiver; a failure prints it")
	minutes = flag.Float64("minutes", 0, "how long users act and faults happen; then all heals and comes to rest. 0: nothing is run")
	users   = flag.Int("users", 12, "how many users act")
	spoiled = flag.String("mutant", "", "name of a mistake to build into the service, or all; TestMutants passes if it is noticed")
)

// patience is how long nothing at all may move before all is done: longer than the longest time that
// Temporal and the service give a process that does not answer any more, which is a minute.
const patience = 100 * time.Second

func TestRig(t *testing.T) {
	t.Parallel()
	if *minutes == 0 {
		t.Skip("builds the service, and kills it for a while: -seed 1 -minutes 0.3")
	}
	breaches := settings{seed: *seed, minutes: *minutes, users: *users}.run(t)
	if len(breaches) > 0 {
		t.Errorf("%d breaches:\n%s", len(breaches), strings.Join(breaches, "\n"))
	}
}

// settings are what a run is repeated with.
type settings struct {
	seed    uint64
	minutes float64
	users   int
	mutant  *mutant // nil: the service as it is
}

// run lets the service run under faults and returns the breaches of invariants. Where there are some, and
// no mutant explains them, it tells the story of the run.
func (s settings) run(t *testing.T) (breaches []string) {
	t.Helper()
	length := time.Duration(s.minutes * float64(time.Minute))
	ctx, cancel := context.WithTimeout(t.Context(), length+8*time.Minute)
	t.Cleanup(cancel)
	r := newRun(ctx, t, s, length)
	if breaches = r.play(length); breaches == nil {
		breaches = r.judge()
	}
	if len(breaches) > 0 && s.mutant == nil {
		t.Log(r.story())
	}
	return breaches
}

// run is one run of the rig.
type run struct {
	settings
	t         *testing.T
	ctx       context.Context
	cluster   *cluster
	records   *records
	receiver  *receiver
	clients   *clients
	actors    []*actor
	operator  *operator
	nemesis   *nemesis
	programs  []*rig.Program
	due       []time.Time // when the schedule fires
	plan      rig.Plan
	lasted    time.Duration // until the load was over
	rested    time.Duration // from then until all was quiet
	harvested *rig.Evidence
}

func newRun(ctx context.Context, t *testing.T, s settings, length time.Duration) *run {
	t.Helper()
	r := &run{settings: s, t: t, ctx: ctx}
	r.cluster = newCluster(ctx, t, build(t, s.mutant), s.seed)
	pool, err := pgxpool.New(ctx, r.cluster.base.address("rollcall")+"&application_name=rig")
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	temporal, err := client.NewLazyClient(r.cluster.temporal())
	require.NoError(t, err)
	t.Cleanup(temporal.Close)
	r.records = &records{pool: pool, temporal: temporal}
	r.receiver = newReceiver(t, r.seed)
	var fronts []string
	for _, name := range r.cluster.stage.Serves {
		fronts = append(fronts, r.cluster.all[name].links[rig.API].Listen)
	}
	r.clients = newClients(fronts, r.receiver.addr())
	drawn := rig.Drawn(r.seed, 4)
	r.programs = slices.Concat(rig.Fixed(), drawn, []*rig.Program{rig.NewRounds(r.firings(length))})
	r.records.programs = r.programs
	var begins []string
	for _, p := range drawn {
		begins = append(begins, p.Event)
	}
	for n := range r.users {
		r.actors = append(r.actors, newActor(r.clients, r.seed, n, begins))
	}
	r.operator = newOperator(r.clients, r.seed, r.programs)
	r.nemesis = newNemesis(r.cluster, func() error { return r.records.terminate(ctx) })
	return r
}

// firings lists the minutes of the day at which the schedule fires: all those that may come within the
// run.
func (r *run) firings(length time.Duration) (minutes []int) {
	first := time.Now().UTC().Truncate(time.Minute).Add(time.Minute)
	for at := first; at.Before(first.Add(length + 3*time.Minute)); at = at.Add(time.Minute) {
		r.due = append(r.due, at)
		minutes = append(minutes, at.Hour()*60+at.Minute())
	}
	return minutes
}

// play lets users, operator and nemesis act at the same time, heals all, and waits until all is quiet. It
// returns what is open where that does not come to pass.
func (r *run) play(length time.Duration) (stuck []string) {
	r.t.Helper()
	require.NoError(r.t, r.clients.setUp(r.ctx, r.actors, r.programs))
	for _, p := range r.programs {
		require.NoError(r.t, r.operator.publish(r.ctx, p))
	}
	r.plan = rig.NewPlan(r.seed, length, r.cluster.stage)
	r.receiver.moody.Store(true)
	until := time.Now().Add(length)
	group, ctx := errgroup.WithContext(r.ctx)
	group.Go(func() error { r.nemesis.carryOut(ctx, r.plan); return nil })
	group.Go(func() error { return r.operator.live(ctx, until) })
	for _, a := range r.actors {
		group.Go(func() error { return a.live(ctx, until) })
	}
	err := group.Wait()
	r.receiver.moody.Store(false)
	r.lasted = time.Since(r.nemesis.began)
	require.NoError(r.t, err, "%s", r.story())
	for _, p := range r.programs { // an attempt without an answer may have paused one once more
		_, err := r.clients.call(r.ctx, r.operator.draw, "POST", "/v1/workflows/"+p.Name+"/resume", nil)
		require.NoError(r.t, err)
	}
	err = r.records.settle(r.ctx, patience)
	r.rested = time.Since(r.nemesis.began) - r.lasted
	if err != nil {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(r.ctx), 20*time.Second)
		defer cancel()
		return []string{err.Error() + "\n" + r.records.dump(ctx)}
	}
	return nil
}

// judge holds what is left behind against the invariants. The last runs close a moment after the ledger
// says so, which is waited for.
func (r *run) judge() (breaches []string) {
	r.t.Helper()
	for deadline := time.Now().Add(time.Minute); ; {
		evidence, err := r.records.harvest(r.ctx)
		require.NoError(r.t, err)
		evidence.Acks, evidence.Hooks, evidence.Spaced = r.clients.acknowledged(), r.receiver.received(), map[string]bool{}
		evidence.Programs, evidence.Due = r.programs, r.due
		for _, a := range r.actors {
			evidence.Spaced[a.user] = a.spaced
			if a.crew {
				evidence.Crew++
			}
		}
		evidence.Crashes, evidence.Ends = r.cluster.base.crashed(), r.nemesis.ends
		r.harvested = evidence
		if breaches = rig.Judge(evidence); len(breaches) == 0 || time.Now().After(deadline) {
			break
		}
		wait(r.ctx, time.Second)
	}
	r.t.Log(r.summary())
	for _, said := range slices.Concat(r.clients.odd, r.cluster.ownFaults()) {
		breaches = append(breaches, "faults of others are answered 503 and no process is at fault itself: "+said)
	}
	return breaches
}

func (r *run) summary() string {
	e := r.harvested
	statuses := map[string]int{}
	for i := range e.Enrollments {
		statuses[e.Enrollments[i].Status]++
	}
	keys := map[string]bool{}
	for _, h := range e.Hooks {
		keys[h.ID] = true
	}
	return fmt.Sprintf("seed %d, %s of load, quiet %s after it: %d faults, %d answers that stand, requests by status %v, %d events, %d versions, %d decisions, %d firings, enrollments %v, %d webhooks of %d keys, exits of processes that could not start %v, %d crashes of PostgreSQL",
		r.seed, r.lasted.Round(time.Second), r.rested.Round(time.Second), len(r.plan), len(e.Acks), r.clients.statuses,
		len(e.Events), len(e.Versions), len(e.Decisions), len(e.Runs), statuses, len(e.Hooks), len(keys), r.cluster.exits(), len(e.Crashes))
}

// story is what a failure is told with: the seed, the plan, and what was done when. All that clients were
// told goes to a file, which is named.
func (r *run) story() string {
	var b strings.Builder
	fmt.Fprintf(&b, "go test ./rig -run TestRig -seed %d -minutes %g -users %d\nplan:\n%s\ndone:\n", r.seed, r.minutes, r.users, r.plan)
	r.nemesis.mu.Lock()
	b.WriteString(strings.Join(r.nemesis.deeds, "\n"))
	r.nemesis.mu.Unlock()
	var ops strings.Builder
	for _, a := range r.clients.acknowledged() {
		fmt.Fprintf(&ops, "%s %s–%s %+v\n", a.Kind, a.Began.UTC().Format("15:04:05.000"), a.At.UTC().Format("15:04:05.000"), a)
	}
	file := filepath.Join(os.TempDir(), fmt.Sprintf("rollcall-rig-%d.log", r.seed))
	if err := os.WriteFile(file, []byte(ops.String()), 0o600); err != nil {
		file = err.Error()
	}
	fmt.Fprintf(&b, "\noperations: %s\n", file)
	for name, p := range r.cluster.all {
		fmt.Fprintf(&b, "%s said last:\n%s\n", name, p.log)
	}
	return b.String()
}
