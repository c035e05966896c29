package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// changes is what it takes to ask all live definitions about a change, one change at a time: from
// when the change is written to when what they answered is committed, by the service's own metric.
// Each definition asks five conditions that hold and a sixth that does not.
type changes struct {
	Definitions int     `json:"definitions"`
	Changes     int     `json:"changes"`
	One         spread  `json:"one_definition_ms"`
	All         spread  `json:"all_definitions_ms"`
	Asking      float64 `json:"asking_ms"`  // what all take more than one, by the medians
	Requests    spread  `json:"request_ms"` // of the change itself, with all live
}

// spread is how times are spread.
type spread struct {
	Min float64 `json:"min"`
	P50 float64 `json:"p50"`
	P99 float64 `json:"p99"`
}

func spreadOf(times []float64) spread {
	slices.Sort(times)
	return spread{times[0], quantile(times, 0.50), quantile(times, 0.99)}
}

// deciding is the measurement under way.
type deciding struct {
	*bench
	*service
	next   int // number of the next change
	before waits
}

// decided is the user who changes.
const decided = "u_changes"

func measureChanges(ctx context.Context, b *bench) (_ result, err error) {
	s, err := b.serveAlone(ctx, "changes")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	d := &deciding{bench: b, service: s}
	if err := d.prepare(ctx); err != nil {
		return nil, err
	}
	r := &changes{Definitions: b.definitions, Changes: b.changes}
	if err := d.publishTo(ctx, 0, 1); err != nil {
		return nil, err
	}
	if r.One, _, err = d.several(ctx, "one definition"); err != nil {
		return nil, err
	}
	if err := d.publishTo(ctx, 1, b.definitions); err != nil {
		return nil, err
	}
	if r.All, r.Requests, err = d.several(ctx, "all definitions"); err != nil {
		return nil, err
	}
	r.Asking = r.All.P50 - r.One.P50
	return r, d.verify(ctx)
}

func (d *deciding) prepare(ctx context.Context) error {
	if err := d.declare(ctx, map[string]string{"bench_go": "string"}); err != nil {
		return err
	}
	if err := d.call(ctx, http.MethodPut, "/v1/users/"+decided, object{"properties": object{
		"job_title": "Head of Support", "main_team": "support", "skills": []string{"go", "sql"},
		"scheduling_pages": 2, "last_active_at": "2024-06-01T09:00:00Z",
	}}, nil); err != nil {
		return err
	}
	return d.evaluated(ctx)
}

// publishTo publishes the definitions from one number up to another.
func (d *deciding) publishTo(ctx context.Context, from, to int) error {
	for n := from; n < to; n++ {
		if n%200 == 0 {
			d.say("changes: %d of %d workflows are live", n, to)
		}
		err := d.publish(ctx, object{
			"name": fmt.Sprintf("w%d", n),
			"triggers": []any{object{"filter": object{"all": []any{
				object{"property": "job_title", "op": "contains", "value": "support"},
				object{"property": "main_team", "op": "any_of", "value": []string{fmt.Sprintf("team%d", n), "support"}},
				object{"property": "skills", "op": "all_of", "value": []string{"go", "sql"}},
				object{"property": "scheduling_pages", "op": "between", "value": []int{1, 5 + n}},
				object{"property": "last_active_at", "op": "after", "value": "2024-01-01"},
				object{"property": "bench_go", "op": "equals", "value": "yes"},
			}}}},
			"steps": []any{object{"id": "end", "exit": object{"reason": "measured"}}},
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// several changes the user several times and returns how long the decisions and the requests took.
func (d *deciding) several(ctx context.Context, what string) (decisions, requests spread, err error) {
	d.say("changes: %d changes asked of %s", d.changes, what)
	if d.before, err = d.waits(ctx); err != nil {
		return decisions, requests, err
	}
	var decided, requested []float64
	for range d.changes {
		began := time.Now()
		if err := d.change(ctx, object{"job_title": fmt.Sprint("Support of team ", d.next)}); err != nil {
			return decisions, requests, err
		}
		d.next++
		requested = append(requested, milliseconds(time.Since(began)))
		took, err := d.decision(ctx)
		if err != nil {
			return decisions, requests, err
		}
		decided = append(decided, milliseconds(took))
	}
	return spreadOf(decided), spreadOf(requested), nil
}

func (d *deciding) change(ctx context.Context, properties object) error {
	return d.call(ctx, http.MethodPatch, "/v1/users/"+decided, object{"properties": properties}, nil)
}

// decision waits until the change is decided and returns how long that took.
func (d *deciding) decision(ctx context.Context) (took time.Duration, err error) {
	err = until(ctx, d.progress, func() (done bool, state string, err error) {
		now, err := d.waits(ctx)
		if err != nil {
			return false, "", err
		}
		if now.n > d.before.n+1 {
			return false, "", fmt.Errorf("%d changes were decided, and not one", now.n-d.before.n)
		}
		if done = now.n == d.before.n+1; done {
			took, d.before = time.Duration((now.sum-d.before.sum)*float64(time.Second)), now
		}
		return done, "a change is not decided", nil
	})
	return took, err
}

// waits are what the metric says of changes that were decided.
type waits struct {
	n   int
	sum float64 // seconds
}

func (d *deciding) waits(ctx context.Context) (waits, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, d.url+"/metrics", http.NoBody)
	if err != nil {
		return waits{}, err
	}
	answer, err := d.http.Do(req)
	if err != nil {
		return waits{}, err
	}
	defer func() { _ = answer.Body.Close() }()
	return readWaits(answer.Body)
}

// readWaits finds the metric among those of a service.
func readWaits(metrics io.Reader) (w waits, err error) {
	const metric = "rollcall_evaluation_wait_seconds_"
	found := 0
	for lines := bufio.NewScanner(metrics); lines.Scan(); {
		name, value, _ := strings.Cut(lines.Text(), " ")
		switch name {
		case metric + "count":
			w.n, err = strconv.Atoi(value)
		case metric + "sum":
			w.sum, err = strconv.ParseFloat(value, 64)
		default:
			continue
		}
		if err != nil {
			return w, fmt.Errorf("metric %s: %w", name, err)
		}
		found++
	}
	if found != 2 {
		return w, errors.New("the service has no metric " + metric + "*")
	}
	return w, nil
}

// verify makes all filters hold: each of the definitions must enroll the user, and none did before.
func (d *deciding) verify(ctx context.Context) error {
	if err := d.expect(ctx, 0, "enrollments before any filter held", `select count(*) from enrollments`); err != nil {
		return err
	}
	if err := d.change(ctx, object{"bench_go": "yes"}); err != nil {
		return err
	}
	if err := d.evaluated(ctx); err != nil {
		return err
	}
	if err := d.ended(ctx); err != nil {
		return err
	}
	return d.expect(ctx, d.definitions, "definitions have enrolled the user",
		`select count(distinct definition) from enrollments where status = 'completed'`)
}

func (c *changes) enter(r *report) { r.Changes = c }

func (c *changes) write(w io.Writer) error {
	rows := [][]string{{"", "min ms", "p50 ms", "p99 ms", "budget"}}
	add := func(label, budget string, s spread) {
		rows = append(rows, []string{label, digits(s.Min), digits(s.P50), digits(s.P99), budget})
	}
	add("change written → decided, one workflow", "", c.One)
	add(fmt.Sprintf("change written → decided, %d workflows", c.Definitions), "", c.All)
	rows = append(rows, []string{"asking them, by the difference of the two", digits(c.All.Min - c.One.Min), digits(c.Asking), "", "≤ 1 ms"})
	add("PATCH of the user", "", c.Requests)
	return table(w, fmt.Sprintf("changes: %d changes, one at a time, each of which all workflows with five conditions and one more are asked about", c.Changes), rows)
}
