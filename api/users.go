package api

import (
	"context"
	"errors"
	"net/http"
	"strconv"

	"github.com/danielgtaylor/huma/v2"

	"rollcall/automation"
)

// UserPath names a user.
type UserPath struct {
	ID string `path:"id" maxLength:"1024" doc:"The user's id: opaque, at most 128 bytes, without \"/\"."`
}

// UserBody is what is known about a user.
type UserBody struct {
	Properties map[string]any `json:"properties,omitempty" doc:"Values by property."`
}

// UserOut is one user.
type UserOut struct {
	Status int
	Body   *automation.User
}

type listUsersIn struct {
	Page
	Filter string `query:"filter" doc:"Only users for whom this filter holds, as JSON."`
}

// Resolve implements huma.Resolver.
func (*listUsersIn) Resolve(ctx huma.Context) []error { return filled(ctx, "filter") }

func (s *server) listUsers(ctx context.Context, in *listUsersIn) (*List[automation.User], error) {
	var after string
	if err := in.read(&after); err != nil {
		return nil, err
	}
	users, err := s.users(ctx, in.Filter, after, in.limit()+1)
	if err != nil {
		return nil, err
	}
	return pageOf(users, in.limit(), func(u *automation.User) any { return u.ID }), nil
}

func (s *server) users(ctx context.Context, filter, after string, limit int) ([]automation.User, error) {
	if filter == "" {
		return s.DB.Users(ctx, after, limit)
	}
	tree, err := matching(filter)
	if err != nil {
		return nil, err
	}
	return s.DB.UsersMatching(ctx, tree, after, limit)
}

func (s *server) getUser(ctx context.Context, in *UserPath) (*UserOut, error) {
	u, err := s.DB.User(ctx, in.ID)
	return &UserOut{Status: http.StatusOK, Body: u}, err
}

type writeUserIn struct {
	UserPath
	Body UserBody
}

func (s *server) putUser(ctx context.Context, in *writeUserIn) (*UserOut, error) {
	u, created, err := s.DB.PutUser(ctx, in.ID, in.Body.Properties, "api")
	s.Pump.Wake()
	return &UserOut{Status: createdOr(created), Body: u}, err
}

func (s *server) patchUser(ctx context.Context, in *writeUserIn) (*UserOut, error) {
	u, err := s.DB.PatchUser(ctx, in.ID, in.Body.Properties, "api")
	s.Pump.Wake()
	return &UserOut{Status: http.StatusOK, Body: u}, err
}

func (s *server) deleteUser(ctx context.Context, in *UserPath) (*struct{}, error) {
	err := s.DB.DeleteUser(ctx, in.ID, "api")
	s.Pump.Wake()
	s.Starter.Wake()
	return nil, err
}

// UserItem is one user of a batch.
type UserItem struct {
	ID         string         `json:"id"`
	Properties map[string]any `json:"properties,omitempty"`
}

type writeUsersIn struct {
	Body struct {
		Items []UserItem `json:"items" doc:"Users to create, or whose properties to change; at most 1,000."`
	}
}

const maxBatch = 1000

func batchTooLarge() error {
	return newProblem(http.StatusRequestEntityTooLarge, "batch-too-large", "a batch has at most 1000 items")
}

// ItemResult is what became of one item of a batch.
type ItemResult struct {
	ID       string               `json:"id"`
	Status   string               `json:"status" enum:"created,updated,accepted,duplicate,refused"`
	Problems []automation.Problem `json:"errors,omitempty"`
}

// BatchOut is what became of the items of a batch, each at its position.
type BatchOut struct {
	Status int
	Body   struct {
		Items []ItemResult `json:"items"`
	}
}

func (s *server) writeUsers(ctx context.Context, in *writeUsersIn) (*BatchOut, error) {
	if len(in.Body.Items) > maxBatch {
		return nil, batchTooLarge()
	}
	out := &BatchOut{Status: http.StatusOK}
	out.Body.Items = []ItemResult{}
	defer s.Pump.Wake()
	for i, item := range in.Body.Items {
		result := ItemResult{ID: item.ID, Status: "updated"}
		_, created, err := s.DB.UpsertUser(ctx, item.ID, item.Properties, "api")
		switch {
		case errors.Is(err, automation.ErrInvalid):
			result.Status, result.Problems = "refused", itemProblems(err, "/items/"+strconv.Itoa(i))
		case err != nil:
			return nil, err
		case created:
			result.Status = "created"
		}
		out.Body.Items = append(out.Body.Items, result)
	}
	return out, nil
}

// itemProblems are the problems of one item of a batch, which stands at pointer.
func itemProblems(err error, pointer string) []automation.Problem {
	var problems automation.Problems
	p := describe(err)
	if len(p.Problems) == 0 {
		problems.Add(pointer, p.Type[len(typePrefix):], "%s", p.Detail)
	}
	problems.Join(pointer, p.Problems)
	return problems
}

type historyIn struct {
	UserPath
	Page
}

func (s *server) userHistory(ctx context.Context, in *historyIn) (*List[automation.Change], error) {
	var before int64
	if err := in.read(&before); err != nil {
		return nil, err
	}
	changes, next, err := s.DB.History(ctx, in.ID, before, in.limit())
	if err != nil || next == 0 {
		return page(changes, ""), err
	}
	return page(changes, pageToken(next)), nil
}

func createdOr(created bool) int {
	if created {
		return http.StatusCreated
	}
	return http.StatusOK
}
