package api

import (
	"context"

	"rollcall/automation"
)

// Connections is what the API does with connections beyond reading and deleting them.
type Connections interface {
	Put(ctx context.Context, name string, draft automation.ConnectionDraft, by string) (saved *automation.Connection, created bool, err error)
	Test(ctx context.Context, name string) (*automation.ConnectionTest, error)
	Kinds() []automation.ConnectionKind
}

// ConnectionPath names a connection.
type ConnectionPath struct {
	Name string `path:"name" maxLength:"64"`
}

type putConnectionIn struct {
	ConnectionPath
	Body automation.ConnectionDraft
}

// ConnectionOut is a connection, without its secrets.
type ConnectionOut struct {
	Status int
	Body   *automation.Connection
}

func (s *server) putConnection(ctx context.Context, in *putConnectionIn) (*ConnectionOut, error) {
	c, created, err := s.Connections.Put(ctx, in.Name, in.Body, callerOf(ctx).name)
	if err != nil {
		return nil, err
	}
	return &ConnectionOut{createdOr(created), c}, nil
}

func (s *server) getConnection(ctx context.Context, in *ConnectionPath) (*ConnectionOut, error) {
	c, err := s.DB.Connection(ctx, in.Name)
	if err != nil {
		return nil, err
	}
	return &ConnectionOut{200, &c.Connection}, nil
}

func (s *server) listConnections(ctx context.Context, _ *struct{}) (*List[automation.Connection], error) {
	list, err := s.DB.Connections(ctx)
	return page(list, ""), err
}

func (s *server) deleteConnection(ctx context.Context, in *ConnectionPath) (*struct{}, error) {
	return nil, s.DB.DeleteConnection(ctx, in.Name)
}

type connectionTestOut struct{ Body *automation.ConnectionTest }

func (s *server) testConnection(ctx context.Context, in *ConnectionPath) (*connectionTestOut, error) {
	result, err := s.Connections.Test(ctx, in.Name)
	if err != nil {
		return nil, err
	}
	return &connectionTestOut{result}, nil
}

func (s *server) listConnectionKinds(context.Context, *struct{}) (*List[automation.ConnectionKind], error) {
	return page(s.Connections.Kinds(), ""), nil
}
