package activities

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"rollcall/automation"
	"rollcall/connect"
	"rollcall/filter"
	"rollcall/strictjson"
)

// directory is where users are looked up: *postgres.DB or, in a transaction, *postgres.Inside.
type directory interface {
	UsersByID(ctx context.Context, ids []string) ([]automation.User, error)
	TeamMembers(ctx context.Context, team string) ([]automation.User, error)
}

// aloneInTeam is what was done where the enrolled user is the only member of the team.
const aloneInTeam = "nobody else in the team"

// recipients reads a list of recipients, each of them one of
//
//	an address     ada@example.com
//	a user         user:u_7, or the bare id
//	the manager    manager (of the enrolled user)
//	a team         team:support (its active members, without the enrolled user)
//	a property     property:buddy (of the enrolled user: addresses, users or channels)
//
// and returns the users that are meant, and the texts that name no user as they are. Texts with
// commas are several recipients. It returns a permanent error when a user is unknown, when a team has
// no members, or when nobody was named; and nobody where the enrolled user is alone in the team.
func recipients(ctx context.Context, db directory, list []string, enrolled *automation.User) (users []automation.User, others []string, err error) {
	seen, alone := map[string]bool{}, false
	for _, entry := range list {
		for _, r := range strings.Split(entry, ",") {
			r = strings.TrimSpace(r)
			if r == "" {
				continue
			}
			found, rest, err := recipient(ctx, db, r, enrolled)
			if err != nil {
				return nil, nil, err
			}
			others = append(others, rest...)
			alone = alone || len(found)+len(rest) == 0
			for _, u := range found {
				if !seen[u.ID] {
					seen[u.ID] = true
					users = append(users, u)
				}
			}
		}
	}
	if len(users)+len(others) == 0 && !alone {
		return nil, nil, connect.Permanent(fmt.Errorf("there is nobody to send to (%s)", strings.Join(list, ", ")))
	}
	return users, others, nil
}

func recipient(ctx context.Context, db directory, r string, enrolled *automation.User) (users []automation.User, others []string, err error) {
	if team, ok := strings.CutPrefix(r, "team:"); ok {
		users, err = db.TeamMembers(ctx, team)
		if err == nil && len(users) == 0 {
			err = connect.Permanent(fmt.Errorf("team %q has no active members to send to", team))
		}
		return slices.DeleteFunc(users, func(u automation.User) bool { return u.ID == enrolled.ID }), nil, err
	}
	if name, ok := strings.CutPrefix(r, fromProperty); ok {
		return held(ctx, db, name, enrolled)
	}
	id, named := strings.CutPrefix(r, "user:")
	if r == "manager" {
		id, _ = enrolled.Properties["manager"].(string)
		if named = true; id == "" {
			return nil, nil, connect.Permanent(errors.New("the user has no manager"))
		}
	}
	if !named && isAddress(id) {
		return nil, []string{r}, nil
	}
	if users, err = db.UsersByID(ctx, []string{id}); err != nil || len(users) > 0 {
		return users, nil, err
	}
	if named {
		return nil, nil, connect.Permanent(fmt.Errorf("there is no user %q to send to", id))
	}
	return nil, []string{r}, nil
}

// fromProperty is what a recipient begins with that stands on the user's record.
const fromProperty = "property:"

// isAddress tells addresses and channels from ids of users.
func isAddress(r string) bool { return strings.ContainsAny(r, "@#") }

// held reads the recipients in a property of the enrolled user. They are taken as they are: a value
// that says team:support is no team, as users may write some properties themselves.
func held(ctx context.Context, db directory, name string, enrolled *automation.User) (users []automation.User, others []string, err error) {
	var ids []string
	switch v := enrolled.Properties[name].(type) {
	case string:
		ids = []string{v}
	case []any:
		for _, item := range v {
			id, _ := item.(string)
			ids = append(ids, id)
		}
	}
	ids = slices.DeleteFunc(ids, func(id string) bool { return strings.TrimSpace(id) == "" })
	if len(ids) == 0 {
		return nil, nil, connect.Permanent(fmt.Errorf("the user has no %s to send to", name))
	}
	unknown := slices.DeleteFunc(slices.Clone(ids), isAddress)
	if len(unknown) > 0 {
		if users, err = db.UsersByID(ctx, unknown); err != nil {
			return nil, nil, err
		}
	}
	for _, u := range users {
		ids = slices.DeleteFunc(ids, func(id string) bool { return id == u.ID })
	}
	return users, ids, nil
}

// recipients judges the recipients of a field: a property that one names must be there, and be able
// to name somebody.
func (c *Checking) recipients(field string, list ...string) {
	for _, entry := range list {
		for r := range strings.SplitSeq(entry, ",") {
			name, ok := strings.CutPrefix(strings.TrimSpace(r), fromProperty)
			if !ok || c.Properties == nil || !c.Settled(entry) {
				continue
			}
			switch p, known := c.Properties[name]; {
			case !known:
				c.Add("/"+field, "unknown-property", "there is no property %q", strictjson.Short(name))
			case !slices.Contains([]filter.Type{filter.String, filter.Enum, filter.MultiEnum, filter.User, filter.Users}, p.Type):
				c.Add("/"+field, "invalid-value", "the property %q names nobody: it is a %s", strictjson.Short(name), p.Type)
			}
		}
	}
}

// addresses turns recipients into mail addresses.
func addresses(ctx context.Context, db directory, list []string, enrolled *automation.User) ([]string, error) {
	users, found, err := recipients(ctx, db, list, enrolled)
	if err != nil {
		return nil, err
	}
	for _, u := range users {
		address, _ := u.Properties["email"].(string)
		if address == "" {
			return nil, connect.Permanent(fmt.Errorf("user %q has no email address", u.ID))
		}
		found = append(found, address)
	}
	return found, nil
}
