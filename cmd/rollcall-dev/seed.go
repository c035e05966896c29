package main

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"strings"

	"rollcall/api"
	"rollcall/app"
	"rollcall/automation"
	"rollcall/examples"
	"rollcall/filter"
	"rollcall/postgres"
)

// exampleWorld is where the examples send webhooks to.
const exampleWorld = "127.0.0.1:8025"

// seed publishes the examples and adds a few users, where there is nothing yet.
func seed(ctx context.Context, service *app.App, worldAddr string) error {
	db := service.DB()
	if existing, err := db.Definitions(ctx, "", 1); err != nil || len(existing) > 0 {
		return err
	}
	_, err := db.PutProperty(ctx, automation.Property{Name: "onboarding", Label: "Onboarding", Type: filter.Enum, Options: []string{"welcomed", "done"}, Group: "custom"})
	if err != nil {
		return err
	}
	files, err := fs.Glob(examples.Files, "*.yaml")
	if err != nil {
		return err
	}
	for _, file := range files {
		text, err := fs.ReadFile(examples.Files, file)
		if err != nil {
			return err
		}
		document, err := api.ParseYAML(bytes.ReplaceAll(text, []byte(exampleWorld), []byte(worldAddr)))
		if err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		if _, _, err := db.SaveDraft(ctx, document, ""); err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		if _, err := db.Publish(ctx, document.Name, postgres.Existing{}, postgres.Migration{}); err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
	}
	for _, u := range []struct {
		id         string
		properties map[string]any
	}{
		{"u_1", person("Grace", "Hopper", "Head of support", "support", "")},
		{"u_2", person("Katherine", "Johnson", "Support engineer", "support", "u_1")},
		{"u_3", person("Edsger", "Dijkstra", "Sales manager", "sales", "")},
		{"u_4", person("Barbara", "Liskov", "Account executive", "sales", "u_3")},
	} {
		if _, _, err := db.PutUser(ctx, u.id, u.properties, "seed"); err != nil {
			return fmt.Errorf("user %s: %w", u.id, err)
		}
	}
	return nil
}

func person(first, last, title, team, manager string) map[string]any {
	properties := map[string]any{
		"first_name": first, "last_name": last, "job_title": title, "main_team": team, "teams": []any{team},
		"email": strings.ToLower(last) + "@example.com", "time_zone": "Europe/Warsaw",
		"email_status": "connected", "calendar_status": "connected", "invite_status": "accepted",
	}
	if manager != "" {
		properties["manager"] = manager
	}
	return properties
}
