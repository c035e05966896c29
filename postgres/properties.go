package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"rollcall/automation"
)

// Properties returns the schema of users.
func (db *DB) Properties(ctx context.Context) (automation.Properties, error) {
	return propertiesOf(ctx, db.pool)
}

// schema returns the schema of users in the ingest's epoch, in which it does not change.
func (in *ingest) schema(ctx context.Context) (automation.Properties, error) {
	cache := &in.db.cache
	cache.Lock()
	schema := cache.schemas[in.epoch]
	cache.Unlock()
	if schema != nil {
		return schema, nil
	}
	schema, err := propertiesOf(ctx, in)
	if err != nil {
		return nil, err
	}
	cache.Lock()
	defer cache.Unlock()
	clear(cache.schemas)
	cache.schemas[in.epoch] = schema
	return schema, nil
}

func propertiesOf(ctx context.Context, q querier) (automation.Properties, error) {
	list, err := collect[automation.Property](ctx, q, `select name, label, type, options, "group", built_in from properties`)
	if err != nil {
		return nil, err
	}
	schema := make(automation.Properties, len(list))
	for _, p := range list {
		schema[p.Name] = p
	}
	return schema, nil
}

// PutProperty declares a property or changes its label, group and options. A built-in property
// keeps its type; the type of one that has values, or that a version uses, cannot change.
func (db *DB) PutProperty(ctx context.Context, p automation.Property) (created bool, err error) {
	if err := automation.Invalid("the property", p.Validate()); err != nil {
		return false, err
	}
	if p.Options == nil {
		p.Options = []string{}
	}
	err = db.publication(ctx, func(tx pgx.Tx, _ int64) error {
		old, err := one[automation.Property](ctx, tx, `
			select name, label, type, options, "group", built_in from properties where name = $1 for update`, p.Name)
		created = errors.Is(err, automation.ErrNotFound)
		if err != nil && !created {
			return err
		}
		if !created && old.Type != p.Type {
			if old.BuiltIn {
				return fmt.Errorf("%s is built in, its type is %s: %w", p.Name, old.Type, automation.ErrInUse)
			}
			if err := propertyUnused(ctx, tx, p.Name); err != nil {
				return err
			}
		}
		_, err = tx.Exec(ctx, `
			insert into properties (name, label, type, options, "group") values ($1, $2, $3, $4, $5)
			on conflict (name) do update
			set label = excluded.label, type = excluded.type, options = excluded.options, "group" = excluded."group"`,
			p.Name, p.Label, p.Type, p.Options, p.Group)
		return err
	})
	return created, err
}

// DeleteProperty removes a custom property that no user has a value of and no version uses.
func (db *DB) DeleteProperty(ctx context.Context, name string) error {
	return db.publication(ctx, func(tx pgx.Tx, _ int64) error {
		old, err := one[automation.Property](ctx, tx, `
			select name, label, type, options, "group", built_in from properties where name = $1 for update`, name)
		if err != nil {
			return err
		}
		if old.BuiltIn {
			return fmt.Errorf("%s is built in: %w", name, automation.ErrInUse)
		}
		if err := propertyUnused(ctx, tx, name); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `delete from properties where name = $1`, name)
		return err
	})
}

// propertyUnused returns ErrInUse, saying by what, when users have values of a property or live
// versions speak of it.
func propertyUnused(ctx context.Context, tx pgx.Tx, name string) error {
	var users int
	if err := tx.QueryRow(ctx, `select count(*) from users where properties ? $1`, name).Scan(&users); err != nil {
		return err
	}
	if users > 0 {
		return fmt.Errorf("%d users have a value of %s: %w", users, name, automation.ErrInUse)
	}
	versions, err := versionsInUse(ctx, tx)
	if err != nil {
		return err
	}
	for _, v := range versions {
		if slices.Contains(v.properties(), name) {
			return fmt.Errorf("version %d of workflow %s uses %s: %w", v.Number, v.Definition, name, automation.ErrInUse)
		}
	}
	return nil
}

func (v versionInUse) properties() []string {
	d, err := automation.ParseDocument(v.Document)
	if err != nil {
		return nil
	}
	var names []string
	for _, f := range d.Filters() {
		names = append(names, f.Properties()...)
	}
	return names
}
