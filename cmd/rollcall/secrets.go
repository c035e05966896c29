package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"rollcall/activities"
	"rollcall/automation"
	"rollcall/postgres"
	"rollcall/secrets"
)

// secretsCommand makes and changes the keys that seal the secrets of connections.
func secretsCommand(getenv func(string) string, stdout io.Writer) *cobra.Command {
	root := &cobra.Command{Use: "secrets", Short: "Make and rotate the keys that seal the secrets of connections"}
	root.AddCommand(
		&cobra.Command{
			Use: "new [FILE]", Short: "Make a keyset; it is printed, or written to a file that is not there yet", Args: cobra.MaximumNArgs(1),
			RunE: func(_ *cobra.Command, args []string) error {
				text, err := secrets.New()
				if err != nil {
					return err
				}
				if len(args) == 0 {
					fmt.Fprintln(stdout, text)
					return nil
				}
				return writeNew(args[0], text)
			},
		},
		&cobra.Command{
			Use: "rotate FILE", Short: "Add a key to the keyset in a file; it seals from then on", Args: cobra.ExactArgs(1),
			Long: "Add a key to the keyset in a file; it seals from then on, and those before open what they sealed. Start every process with the new file, then run \"rollcall secrets reseal\".",
			RunE: func(_ *cobra.Command, args []string) error { return rotateKeyset(args[0], stdout) },
		},
		&cobra.Command{
			Use: "reseal", Short: "Seal all secrets with the newest key (works on the database)", Args: cobra.NoArgs,
			RunE: func(c *cobra.Command, _ []string) error {
				keys, err := keysetFrom(getenv)
				if err != nil {
					return err
				}
				if keys == "" {
					return activities.ErrNoKeyset
				}
				box, err := secrets.Parse(keys)
				if err != nil {
					return fmt.Errorf("keys of secrets: %w: %w", automation.ErrInvalid, err)
				}
				return withDatabase(c.Context(), getenv, func(db *postgres.DB) error {
					n, err := activities.NewConnections(db, box, activities.Outgoing{}).Reseal(c.Context())
					if err != nil {
						return err
					}
					fmt.Fprintf(stdout, "%d connections were sealed anew\n", n)
					return nil
				})
			},
		},
	)
	return root
}

// writeNew writes a file that only its owner reads, and that is not there yet.
func writeNew(file, text string) error {
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.WriteString(f, text+"\n")
	return errors.Join(err, f.Sync(), f.Close())
}

// rotateKeyset replaces a keyset by one with another key. Whoever reads the file meanwhile sees the old
// one or the new one.
func rotateKeyset(file string, stdout io.Writer) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	box, err := secrets.Parse(string(text))
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	rotated, err := box.Rotated()
	if err != nil {
		return err
	}
	next := filepath.Join(filepath.Dir(file), "."+filepath.Base(file)+".next")
	_ = os.Remove(next) // of an attempt that was cut short
	if err := writeNew(next, rotated); err != nil {
		return err
	}
	if err := os.Rename(next, file); err != nil {
		return err
	}
	fmt.Fprintf(stdout, "%s has %d keys now\n", file, box.Keys()+1)
	return nil
}
