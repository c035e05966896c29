package api

import (
	"context"

	"rollcall/postgres"
)

type tasksIn struct {
	Page
	Assignee string `query:"assignee" doc:"Only those of this user."`
	Status   string `query:"status" enum:"open,done" doc:"Only those that are open, or done."`
}

func (s *server) listTasks(ctx context.Context, in *tasksIn) (*List[postgres.Task], error) {
	q := postgres.TaskQuery{Assignee: in.Assignee, Limit: in.limit() + 1}
	if err := in.read(&q.Before); err != nil {
		return nil, err
	}
	if in.Status != "" {
		open := in.Status == "open"
		q.Open = &open
	}
	items, err := s.DB.Tasks(ctx, q)
	if err != nil {
		return nil, err
	}
	return pageOf(items, in.limit(), func(t *postgres.Task) any { return t.ID }), nil
}

type taskPath struct {
	ID int64 `path:"id" minimum:"1"`
}

type taskOut struct{ Body *postgres.Task }

// setTask returns the operation that notes whether a task is done.
func (s *server) setTask(done bool) func(context.Context, *taskPath) (*taskOut, error) {
	return func(ctx context.Context, in *taskPath) (*taskOut, error) {
		t, err := s.DB.SetTaskDone(ctx, in.ID, done)
		if err != nil {
			return nil, err
		}
		return &taskOut{t}, nil
	}
}
