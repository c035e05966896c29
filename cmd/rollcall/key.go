package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"rollcall/automation"
	"rollcall/postgres"
)

// keyCommand makes and ends API keys. It works on the database, so that the first key needs no other.
func keyCommand(getenv func(string) string, stdout io.Writer) *cobra.Command {
	root := &cobra.Command{Use: "key", Short: "Make, list and revoke API keys (works on the database)"}
	root.AddCommand(createKeyCommand(getenv, stdout))
	root.AddCommand(&cobra.Command{
		Use: "list", Short: "List the keys", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return withDatabase(c.Context(), getenv, func(db *postgres.DB) error { return listKeys(c.Context(), db, stdout) })
		},
	})
	root.AddCommand(&cobra.Command{
		Use: "revoke ID", Short: "End the life of a key: within seconds it is refused", Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return withDatabase(c.Context(), getenv, func(db *postgres.DB) error {
				k, err := db.RevokeKey(c.Context(), args[0])
				if err != nil {
					return fmt.Errorf("key %s: %w", args[0], err)
				}
				fmt.Fprintf(stdout, "the key %s (%s) is revoked\n", k.ID, k.Name)
				return nil
			})
		},
	})
	return root
}

func createKeyCommand(getenv func(string) string, stdout io.Writer) *cobra.Command {
	var name string
	var scopes []string
	var days int
	create := &cobra.Command{
		Use: "create --name NAME", Short: "Make a key; it is printed once", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return withDatabase(c.Context(), getenv, func(db *postgres.DB) error {
				var expires *time.Time
				if days > 0 {
					at := time.Now().Add(time.Duration(days) * 24 * time.Hour).UTC()
					expires = &at
				}
				wanted := automation.Scopes()
				if len(scopes) > 0 {
					wanted = nil
					for _, s := range scopes {
						wanted = append(wanted, automation.Scope(s))
					}
				}
				_, text, err := db.CreateKey(c.Context(), name, wanted, expires, "rollcall key create")
				if err != nil {
					return err
				}
				fmt.Fprintln(stdout, text)
				return nil
			})
		},
	}
	create.Flags().StringVar(&name, "name", "", "who or what uses the key")
	create.Flags().StringSliceVar(&scopes, "scopes", nil, "what it may do, separated by commas; all if left out: "+scopeList())
	create.Flags().IntVar(&days, "days", 0, "after how many days it ends; never if left out")
	return create
}

func scopeList() string {
	var names []string
	for _, s := range automation.Scopes() {
		names = append(names, string(s))
	}
	return strings.Join(names, ", ")
}

func listKeys(ctx context.Context, db *postgres.DB, stdout io.Writer) error {
	keys, err := db.Keys(ctx)
	if err != nil {
		return err
	}
	w := tabwriter.NewWriter(stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "ID\tNAME\tSTATE\tLAST USED\tSCOPES")
	for _, k := range keys {
		state := "valid"
		switch {
		case k.RevokedAt != nil:
			state = "revoked"
		case !k.Valid(time.Now()):
			state = "expired"
		case k.ExpiresAt != nil:
			state = "until " + k.ExpiresAt.Format(time.DateOnly)
		}
		used := "never"
		if k.LastUsedAt != nil {
			used = k.LastUsedAt.Format("2006-01-02 15:04")
		}
		var scopes []string
		for _, s := range k.Scopes {
			scopes = append(scopes, string(s))
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", k.ID, k.Name, state, used, strings.Join(scopes, " "))
	}
	return w.Flush()
}

// withDatabase runs f with the database that the environment names.
func withDatabase(ctx context.Context, getenv func(string) string, f func(db *postgres.DB) error) error {
	c, err := configFromEnv(getenv, io.Discard)
	if err != nil {
		return err
	}
	db, err := postgres.Open(ctx, postgres.Config{URL: c.DatabaseURL, MaxConns: 2})
	if err != nil {
		return fmt.Errorf("open database: %w", err)
	}
	defer db.Close()
	return f(db)
}
