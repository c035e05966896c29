package activities

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"rollcall/automation"
	"rollcall/connect"
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
			found, err := recipient(ctx, db, r, enrolled)
			if err != nil {
				return nil, nil, err
			}
			if found == nil {
				others = append(others, r)
			}
			alone = alone || found != nil && len(found) == 0
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

func recipient(ctx context.Context, db directory, r string, enrolled *automation.User) ([]automation.User, error) {
	if team, ok := strings.CutPrefix(r, "team:"); ok {
		members, err := db.TeamMembers(ctx, team)
		if err == nil && len(members) == 0 {
			err = connect.Permanent(fmt.Errorf("team %q has no active members to send to", team))
		}
		return append([]automation.User{}, slices.DeleteFunc(members, func(u automation.User) bool { return u.ID == enrolled.ID })...), err
	}
	id, named := strings.CutPrefix(r, "user:")
	if r == "manager" {
		id, _ = enrolled.Properties["manager"].(string)
		if named = true; id == "" {
			return nil, connect.Permanent(errors.New("the user has no manager"))
		}
	}
	if !named && strings.ContainsAny(id, "@#") { // an address or a channel
		return nil, nil
	}
	known, err := db.UsersByID(ctx, []string{id})
	if err != nil || len(known) > 0 {
		return known, err
	}
	if named {
		return nil, connect.Permanent(fmt.Errorf("there is no user %q to send to", id))
	}
	return nil, nil
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
