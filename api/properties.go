package api

import (
	"cmp"
	"context"
	"net/http"
	"slices"

	"rollcall/automation"
	"rollcall/filter"
)

// PropertyPath names a property.
type PropertyPath struct {
	Name string `path:"name" maxLength:"1024"`
}

// PropertyBody declares a property.
type PropertyBody struct {
	Type    filter.Type `json:"type" doc:"string, number, bool, date, datetime, enum, multi_enum, user or users."`
	Label   string      `json:"label,omitempty" doc:"What people read; the name if left out."`
	Options []string    `json:"options,omitempty" doc:"The values an enum may have; none: any."`
	Group   string      `json:"group,omitempty" doc:"Where it is shown; \"custom\" if left out."`
}

type propertyIn struct {
	PropertyPath
	Body PropertyBody
}

// PropertyOut is one property.
type PropertyOut struct {
	Status int
	Body   automation.Property
}

func (s *server) listProperties(ctx context.Context, _ *struct{}) (*List[automation.Property], error) {
	schema, err := s.DB.Properties(ctx)
	items := make([]automation.Property, 0, len(schema))
	for _, p := range schema {
		items = append(items, p)
	}
	slices.SortFunc(items, func(a, b automation.Property) int {
		return cmp.Or(cmp.Compare(a.Group, b.Group), cmp.Compare(a.Name, b.Name))
	})
	return page(items, ""), err
}

func (s *server) getProperty(ctx context.Context, in *PropertyPath) (*PropertyOut, error) {
	schema, err := s.DB.Properties(ctx)
	if err != nil {
		return nil, err
	}
	p, known := schema[in.Name]
	if !known {
		return nil, automation.ErrNotFound
	}
	return &PropertyOut{Status: http.StatusOK, Body: p}, nil
}

func (s *server) putProperty(ctx context.Context, in *propertyIn) (*PropertyOut, error) {
	p := automation.Property{
		Name: in.Name, Type: in.Body.Type, Options: in.Body.Options,
		Label: cmp.Or(in.Body.Label, in.Name), Group: cmp.Or(in.Body.Group, "custom"),
	}
	created, err := s.DB.PutProperty(ctx, p)
	if err != nil {
		return nil, err
	}
	out, err := s.getProperty(ctx, &in.PropertyPath)
	if err == nil {
		out.Status = createdOr(created)
	}
	return out, err
}

func (s *server) deleteProperty(ctx context.Context, in *PropertyPath) (*struct{}, error) {
	return nil, s.DB.DeleteProperty(ctx, in.Name)
}
