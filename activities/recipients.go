package activities

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"rollcall/automation"
	"rollcall/connect"
	"rollcall/postgres"
)

// recipients reads a list of recipients, each of them one of
//
//	an address     ada@example.com
//	a user         user:u_7, or the bare id
//	the manager    manager (of the enrolled user)
//	a team         team:support (its active members, without the enrolled user)
//
// and returns the users that are meant, and the texts that name no user as they are. Texts with
// commas are several recipients. It returns a permanent error when a user is unknown or when nobody
// is left.
func recipients(ctx context.Context, db *postgres.DB, list []string, enrolled *automation.User) (users []automation.User, others []string, err error) {
	seen := map[string]bool{}
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
			for _, u := range found {
				if !seen[u.ID] {
					seen[u.ID] = true
					users = append(users, u)
				}
			}
		}
	}
	if len(users)+len(others) == 0 {
		return nil, nil, connect.Permanent(fmt.Errorf("there is nobody to send to (%s)", strings.Join(list, ", ")))
	}
	return users, others, nil
}

func recipient(ctx context.Context, db *postgres.DB, r string, enrolled *automation.User) ([]automation.User, error) {
	if team, ok := strings.CutPrefix(r, "team:"); ok {
		members, err := db.TeamMembers(ctx, team)
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
func addresses(ctx context.Context, db *postgres.DB, list []string, enrolled *automation.User) ([]string, error) {
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
