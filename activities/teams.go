package activities

import (
	"context"
	"slices"
	"time"

	"rollcall/automation"
	"rollcall/filter"
	"rollcall/postgres"
)

// AddToTeam makes the enrolled user a member of a team, exactly once.
type AddToTeam struct{}

// AddToTeamParams is the "with" of an add_to_team step.
type AddToTeamParams struct {
	Team string `json:"team" doc:"The team, as it stands in the property teams."`
}

// Kind names the action.
func (AddToTeamParams) Kind() string { return "add_to_team" }

// About describes the action.
func (AddToTeamParams) About() (title, description string) {
	return "Add to a team", "Adds a team to the teams of the enrolled user."
}

// FirstTry is short: our own database.
func (AddToTeamParams) FirstTry() time.Duration { return 5 * time.Second }

// Gives says what later steps can use.
func (AddToTeamParams) Gives() map[string]string {
	return map[string]string{
		"changed": "Whether the user was not in the team before.",
		"old":     "The teams before, where they changed.",
		"new":     "The teams now, where they changed.",
	}
}

// Check wants a team that there is.
func (p AddToTeamParams) Check(c *Checking) { checkTeam(c, p.Team) }

// DoInside changes the user in the transaction that records the visit.
func (*AddToTeam) DoInside(ctx context.Context, tx *postgres.Inside, c Call[AddToTeamParams]) (Output, error) {
	return c.Params.change(changerIn(ctx, tx))
}

func (p AddToTeamParams) change(user ChangeUser) (Output, error) {
	return SetPropertyParams{Property: teams, Append: Texts{p.Team}}.change(user)
}

// RemoveFromTeam ends the membership of the enrolled user in a team, exactly once.
type RemoveFromTeam struct{}

// RemoveFromTeamParams is the "with" of a remove_from_team step.
type RemoveFromTeamParams struct {
	Team string `json:"team" doc:"The team, as it stands in the property teams."`
}

// Kind names the action.
func (RemoveFromTeamParams) Kind() string { return "remove_from_team" }

// About describes the action.
func (RemoveFromTeamParams) About() (title, description string) {
	return "Remove from a team", "Removes a team from the teams of the enrolled user; the main team is cleared where it is that one."
}

// FirstTry is short: our own database.
func (RemoveFromTeamParams) FirstTry() time.Duration { return 5 * time.Second }

// Gives says what later steps can use.
func (RemoveFromTeamParams) Gives() map[string]string {
	return map[string]string{"changed": "Whether the user was in the team."}
}

// Check wants a team that there is.
func (p RemoveFromTeamParams) Check(c *Checking) { checkTeam(c, p.Team) }

// DoInside changes the user in the transaction that records the visit.
func (*RemoveFromTeam) DoInside(ctx context.Context, tx *postgres.Inside, c Call[RemoveFromTeamParams]) (Output, error) {
	return c.Params.change(changerIn(ctx, tx))
}

func (p RemoveFromTeamParams) change(user ChangeUser) (Output, error) {
	changes, err := user(func(u *automation.User, _ automation.Properties) (map[string]any, error) {
		items, _ := u.Properties[teams].([]any)
		values := map[string]any{teams: slices.DeleteFunc(slices.Clone(items), func(item any) bool { return item == p.Team })}
		if u.Properties[mainTeam] == p.Team {
			values[mainTeam] = nil
		}
		return values, nil
	})
	if err != nil {
		return Output{}, err
	}
	if len(changes) == 0 {
		return Output{What: "was not in " + p.Team, Values: map[string]any{"changed": false}}, nil
	}
	return Output{What: "removed from " + p.Team, Values: map[string]any{"changed": true}}, nil
}

const (
	teams    = "teams"
	mainTeam = "main_team"
)

// checkTeam wants one of the teams that are declared, where any are.
func checkTeam(c *Checking, team string) {
	c.Require("team", team)
	declared := c.Properties[teams]
	if team == "" || !c.Settled(team) || len(declared.Options) == 0 || declared.Type != filter.MultiEnum {
		return
	}
	if !slices.Contains(declared.Options, team) {
		c.Add("/team", "unknown-team", "there is no team %q among the options of the property teams", team)
	}
}
