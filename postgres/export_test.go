package postgres

import "context"

// Translate turns errors of the driver into those of the domain.
var Translate = translate

// What tests of the filter compiler reach.
var (
	CompileSQL   = compileSQL
	FlipSQL      = flipSQL
	UsesOwnZones = usesOwnZones
)

// SQLArgs are the parameters of a statement.
type SQLArgs = sqlArgs

// Values are the parameters in their order.
func (a *sqlArgs) Values() []any { return a.values }

// Add makes a value a parameter.
func (a *sqlArgs) Add(v any) string { return a.add(v) }

// Fold writes what brings a text to the form in which it is compared with others.
func (a *sqlArgs) Fold(texts []string, text string) string {
	return (&sqlFilter{args: a}).fold(texts)(text)
}

// What a text is recognised by.
const (
	IsDate    = isDate
	IsInstant = isInstant
)

// ZonesOfUsers lists the values of the users' time zones.
func ZonesOfUsers(ctx context.Context, q querier) ([]string, error) {
	return (*DB)(nil).zonesOfUsers(ctx, q)
}
