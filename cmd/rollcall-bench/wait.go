package main

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// patience is how long something may go on without any progress.
const patience = 2 * time.Minute

// tellEvery is how often progress is told.
const tellEvery = 2 * time.Second

// until looks again and again until it is done, and gives up when the state has been the same for too
// long. It tells the state now and then. Between two looks it rests for twenty times as long as the
// last one took: to look takes from what is measured.
func until(ctx context.Context, tell func(state string), look func() (done bool, state string, err error)) error {
	before, since, told := "", time.Now(), time.Now()
	for {
		looked := time.Now()
		done, state, err := look()
		if done || err != nil {
			return err
		}
		if state != before {
			before, since = state, time.Now()
		}
		if time.Since(since) > patience {
			return fmt.Errorf("nothing happens any more: %s", state)
		}
		if time.Since(told) > tellEvery {
			tell(state)
			told = time.Now()
		}
		if !pause(ctx, min(tellEvery, max(50*time.Millisecond, 20*time.Since(looked)))) {
			return fmt.Errorf("%s: %w", state, context.Cause(ctx))
		}
	}
}

// eventually tries until it succeeds, for ten seconds: ledgers and lists follow the webhooks.
func eventually(ctx context.Context, try func() error) error {
	for deadline := time.Now().Add(10 * time.Second); ; {
		err := try()
		if err == nil || time.Now().After(deadline) {
			return err
		}
		if !pause(ctx, 100*time.Millisecond) {
			return errors.Join(err, context.Cause(ctx))
		}
	}
}

// pause waits, and reports whether the context goes on.
func pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}
