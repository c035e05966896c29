//go:build unix

package rig_test

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/log"
	"golang.org/x/sync/errgroup"

	"rollcall/app"
	"rollcall/devstack"
	"rollcall/postgres"
	"rollcall/rig"
)

var (
	seed    = flag.Uint64("seed", 1, "of users, faults and receiver; a failure prints it")
	minutes = flag.Float64("minutes", 0, "how long users act and faults happen; then all heals and comes to rest. 0: nothing is run")
	users   = flag.Int("users", 12, "how many users act")
	spoiled = flag.String("mutant", "", "name of a mistake to build into the service; the run passes if it is noticed")
)

const (
	secret = "whsec_dGVzdC1zZWNyZXQtb2YtdGhlLWFjY2VwdGFuY2Utc3VpdGU="
	// patience is how long nothing at all may move before all is done: longer than the longest time that
	// Temporal and the service give a process that does not answer any more, which is a minute.
	patience = 100 * time.Second
)

func TestRig(t *testing.T) {
	t.Parallel()
	if *minutes == 0 {
		t.Skip("builds the service, and kills it for a while: -seed 1 -minutes 0.3")
	}
	length := time.Duration(*minutes * float64(time.Minute))
	ctx, cancel := context.WithTimeout(t.Context(), length+8*time.Minute)
	t.Cleanup(cancel)
	binary := build(t, *spoiled)
	stack, err := devstack.Start(ctx, devstack.Config{Fast: true})
	require.NoError(t, err)
	t.Cleanup(func() { _ = stack.Stop() })
	require.NoError(t, postgres.Migrate(ctx, stack.DatabaseURL))
	options := client.Options{HostPort: stack.TemporalAddr, Logger: log.NewStructuredLogger(slog.New(slog.DiscardHandler))}
	require.NoError(t, app.PrepareTemporal(ctx, options))

	r := newRun(ctx, t, binary, stack, options)
	breaches := r.play(length)
	if breaches == nil {
		breaches = r.judge()
	}
	if *spoiled != "" {
		seen := mutants[*spoiled].seen
		require.True(t, slices.ContainsFunc(breaches, func(b string) bool { return strings.HasPrefix(b, seen) }),
			"the mutant was not seen as %q, but as: %s", seen, strings.Join(breaches, "\n"))
		t.Logf("the mutant was seen %d times, such as: %s", len(breaches), strings.Join(breaches[:1], ""))
		return
	}
	if len(breaches) > 0 {
		t.Errorf("%d breaches:\n%s\n%s", len(breaches), strings.Join(breaches, "\n"), r.story())
	}
}

// run is one run of the rig.
type run struct {
	t         *testing.T
	ctx       context.Context
	cluster   *cluster
	records   *records
	receiver  *receiver
	clients   *clients
	actors    []*actor
	operator  *operator
	nemesis   *nemesis
	plan      rig.Plan
	lasted    time.Duration // until the load was over
	rested    time.Duration // from then until all was quiet
	harvested *rig.Evidence
}

func newRun(ctx context.Context, t *testing.T, binary string, stack *devstack.Stack, options client.Options) *run {
	t.Helper()
	r := &run{t: t, ctx: ctx}
	own := stack.DatabaseURL + "&application_name=rig"
	pool, err := pgxpool.New(ctx, own)
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	temporal, err := client.NewLazyClient(options)
	require.NoError(t, err)
	t.Cleanup(temporal.Close)
	r.records = &records{pool, temporal}
	r.receiver = newReceiver(t, *seed)
	r.cluster = newCluster(t, binary, stack.DatabaseURL, stack.TemporalAddr, secret)
	r.cluster.raise(t)
	var fronts []string
	for _, name := range r.cluster.serves {
		fronts = append(fronts, r.cluster.all[name].front.Listen)
	}
	r.clients = newClients(fronts, r.receiver.addr())
	for n := range *users {
		r.actors = append(r.actors, newActor(r.clients, *seed, n))
	}
	r.operator = newOperator(r.clients, *seed)
	r.nemesis = newNemesis(r.cluster, func() error { return r.records.terminate(ctx) })
	return r
}

// play lets users, operator and nemesis act at the same time, heals all, and waits until all is quiet. It
// returns what is open where that does not come to pass.
func (r *run) play(length time.Duration) (stuck []string) {
	r.t.Helper()
	require.NoError(r.t, r.clients.setUp(r.ctx, r.actors))
	programs := rig.Programs()
	for i := range programs {
		require.NoError(r.t, r.operator.publish(r.ctx, &programs[i]))
	}
	r.plan = rig.NewPlan(*seed, length, r.cluster.serves, r.cluster.workers)
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
	for i := range programs { // an attempt without an answer may have paused one once more
		_, err := r.clients.call(r.ctx, r.operator.draw, "POST", "/v1/workflows/"+programs[i].Name+"/resume", nil)
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
	for deadline := time.Now().Add(10 * time.Second); ; {
		evidence, err := r.records.harvest(r.ctx)
		require.NoError(r.t, err)
		evidence.Acks, evidence.Hooks, evidence.Spaced = r.clients.acknowledged(), r.receiver.received(), map[string]bool{}
		for _, a := range r.actors {
			evidence.Spaced[a.user] = a.spaced
		}
		r.harvested = evidence
		if breaches = rig.Judge(evidence); len(breaches) == 0 || time.Now().After(deadline) {
			break
		}
		wait(r.ctx, time.Second)
	}
	r.t.Log(r.summary())
	return breaches
}

func (r *run) summary() string {
	e := r.harvested
	statuses := map[string]int{}
	for i := range e.Enrollments {
		statuses[e.Enrollments[i].Status]++
	}
	exits := 0
	for _, p := range r.cluster.all {
		p.mu.Lock()
		exits += p.exits
		p.mu.Unlock()
	}
	keys := map[string]bool{}
	for _, h := range e.Hooks {
		keys[h.ID] = true
	}
	return fmt.Sprintf("seed %d, %s of load, quiet %s after it: %d faults, %d answers that stand, requests by status %v, %d events, %d versions, %d decisions, enrollments %v, %d webhooks of %d keys, %d exits of processes that could not start; %d odd answers %s",
		*seed, r.lasted.Round(time.Second), r.rested.Round(time.Second), len(r.plan), len(e.Acks), r.clients.statuses,
		len(e.Events), len(e.Versions), len(e.Decisions), statuses, len(e.Hooks), len(keys), exits, len(r.clients.odd), strings.Join(r.clients.odd, "; "))
}

// story is what a failure is told with: the seed, the plan, and what was done when. All that clients were
// told goes to a file, which is named.
func (r *run) story() string {
	var b strings.Builder
	fmt.Fprintf(&b, "seed %d, %g minutes, %d users: go test ./rig -run TestRig -seed %d -minutes %g -users %d\nplan:\n%s\ndone:\n", *seed, *minutes, *users, *seed, *minutes, *users, r.plan)
	r.nemesis.mu.Lock()
	b.WriteString(strings.Join(r.nemesis.deeds, "\n"))
	r.nemesis.mu.Unlock()
	var ops strings.Builder
	for _, a := range r.clients.acknowledged() {
		fmt.Fprintf(&ops, "%s %s–%s %+v\n", a.Kind, a.Began.UTC().Format("15:04:05.000"), a.At.UTC().Format("15:04:05.000"), a)
	}
	file := filepath.Join(os.TempDir(), fmt.Sprintf("rollcall-rig-%d.log", *seed))
	if err := os.WriteFile(file, []byte(ops.String()), 0o600); err != nil {
		file = err.Error()
	}
	fmt.Fprintf(&b, "\noperations: %s\n", file)
	for name, p := range r.cluster.all {
		fmt.Fprintf(&b, "%s said last:\n%s\n", name, p.log)
	}
	return b.String()
}
