package postgres

import (
	"context"
	"fmt"
	"slices"
	"strings"

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

// PutProperty declares a property or changes its label, group and options. It returns ErrInUse for
// another type of a property that is built in or that users have values of, and for any change with
// which a version in use would not be valid any more.
func (db *DB) PutProperty(ctx context.Context, p automation.Property) (created bool, err error) {
	if err := automation.Invalid("the property", p.Validate()); err != nil {
		return false, err
	}
	if p.Options == nil {
		p.Options = []string{}
	}
	// A label concerns nobody who writes or evaluates.
	tag, err := db.pool.Exec(ctx, `
		update properties set label = $2, "group" = $3 where name = $1 and type = $4 and options = $5`,
		p.Name, p.Label, p.Group, p.Type, p.Options)
	if err != nil || tag.RowsAffected() == 1 {
		return false, translate(err)
	}
	err = db.publication(ctx, func(tx pgx.Tx, _ int64) error {
		schema, err := propertiesOf(ctx, tx)
		if err != nil {
			return err
		}
		old, exists := schema[p.Name]
		created = !exists
		if exists && old.Type != p.Type {
			if err := valueless(ctx, tx, old); err != nil {
				return err
			}
			delete(schema, p.Name) // whatever speaks of it means the old type
		} else {
			schema[p.Name] = p
		}
		if err := db.versionsStayValid(ctx, tx, schema); err != nil {
			return err
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

// DeleteProperty removes a property. It returns ErrNotFound, or ErrInUse for one that is built in,
// that users have values of, or that a version in use needs.
func (db *DB) DeleteProperty(ctx context.Context, name string) error {
	return db.publication(ctx, func(tx pgx.Tx, _ int64) error {
		schema, err := propertiesOf(ctx, tx)
		if err != nil {
			return err
		}
		old, exists := schema[name]
		if !exists {
			return automation.ErrNotFound
		}
		if err := valueless(ctx, tx, old); err != nil {
			return err
		}
		delete(schema, name)
		if err := db.versionsStayValid(ctx, tx, schema); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `delete from properties where name = $1`, name)
		return err
	})
}

// valueless returns ErrInUse where a property is built in or users have values of it.
func valueless(ctx context.Context, tx pgx.Tx, p automation.Property) error {
	if p.BuiltIn {
		return fmt.Errorf("%s is built in, its type is %s: %w", p.Name, p.Type, automation.ErrInUse)
	}
	var users int
	if err := tx.QueryRow(ctx, `select count(*) from users where properties ? $1`, p.Name).Scan(&users); err != nil {
		return err
	}
	if users > 0 {
		return fmt.Errorf("%d users have a value of %s: %w", users, p.Name, automation.ErrInUse)
	}
	return nil
}

// versionsStayValid returns ErrInUse, naming each version in use and each hook that would not be valid
// with a schema, and where.
func (db *DB) versionsStayValid(ctx context.Context, tx pgx.Tx, schema automation.Properties) error {
	versions, err := versionsInUse(ctx, tx)
	if err != nil {
		return err
	}
	today, err := propertiesOf(ctx, tx)
	if err != nil {
		return err
	}
	var broken []string
	for _, v := range versions {
		d, err := automation.ParseDocument(v.Document)
		if err != nil {
			return fmt.Errorf("version %d of %s: %w", v.Number, v.Definition, err)
		}
		before := d.Validate(db.catalog, today) // of rules that there were not when it was published
		problems := slices.DeleteFunc(d.Validate(db.catalog, schema), func(p automation.Problem) bool { return slices.Contains(before, p) })
		if len(problems) > 0 {
			broken = append(broken, fmt.Sprintf("version %d of workflow %s at %s", v.Number, v.Definition, problems[0].Pointer))
		}
	}
	hooks, err := hooksThatNeed(ctx, tx, schema)
	if err != nil {
		return err
	}
	if broken = append(broken, hooks...); len(broken) > 0 {
		return fmt.Errorf("needed by %s: %w", strings.Join(broken, ", "), automation.ErrInUse)
	}
	return nil
}
