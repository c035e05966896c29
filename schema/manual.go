package schema

import (
	"reflect"
	"slices"

	"rollcall/automation"
	"rollcall/filter"
)

// entry is what a member is for, and what its schema says more than its Go type.
type entry struct {
	doc  string
	more object
}

// some refuses an amount of time that is none.
var some = object{"not": object{"enum": []any{0, "0"}}}

// manual describes every member of every struct, by the names of both.
var manual = map[string]entry{
	"Document.name":        {"The id for ever: 1 to 64 characters of a-z, 0-9, - and _.", object{"pattern": nameText}},
	"Document.title":       {"What people read.", object{"maxLength": 200}},
	"Document.description": {"What it is for.", object{"maxLength": 4000}},
	"Document.time_zone":   {"Where local times are read: an IANA name such as Europe/Warsaw, or user for each user's own; UTC if left out.", nil},
	"Document.triggers":    {"What enrolls: any of them.", object{"minItems": 1, "maxItems": automation.MaxTriggers}},
	"Document.enroll":      {"Who may be enrolled, and how often.", nil},
	"Document.unenroll":    {"Who is taken out before the end, at once.", nil},
	"Document.guard":       {"How many enrollments within an hour are held for approval.", object{"minProperties": 1}},
	"Document.holidays":    {"The country whose public holidays are no business days: an ISO 3166 code, or none; the organisation's if left out.", object{"enum": countries()}},
	"Document.days_off":    {"More days that are no business days.", object{"maxItems": automation.MaxDaysOff}},
	"Document.hours":       {"When actions may start. Delays, waits and branches run at any hour.", nil},
	"Document.steps":       {"What happens, in order.", object{"minItems": 1, "maxItems": automation.MaxSteps}},

	"Trigger.event":    {"The name of an event that enrolls its user.", object{"minLength": 1, "maxLength": 256}},
	"Trigger.webhook":  {"The name of an incoming webhook: a delivery to it enrolls the user whom it names.", object{"minLength": 1}},
	"Trigger.filter":   {"Enrolls a user for whom it starts to hold.", nil},
	"Trigger.schedule": {"Enrolls at each firing.", nil},
	"Trigger.manual":   {"Enrolls on request only.", object{"const": true}},
	"Trigger.where":    {"Asked at the moment of the event or of the firing: who it does not hold for is not enrolled.", nil},

	"Enroll.again":                {"Whether a user who was enrolled before may be enrolled again: never, the default, every_trigger, or { after: 30d }.", nil},
	"Enroll.unless":               {"Nobody is enrolled for whom it holds; who is in leaves when it comes to hold.", nil},
	"Unenroll.when":               {"Who it comes to hold for leaves; who it holds for is not enrolled.", nil},
	"Unenroll.when_trigger_stops": {"Who was enrolled by a filter leaves when no filter trigger holds any more.", nil},
	"Guard.max_per_hour":          {"More enrollments than that within an hour are held.", object{"minimum": 1}},
	"Guard.max_share":             {"More than this part of all users within an hour are held, such as 20%.", nil},

	"Schedule.every":        {"How often it fires.", object{"enum": []automation.Every{automation.EveryDay, automation.EveryWeek, automation.EveryMonth, automation.EveryYear}}},
	"Schedule.on":           {"The days. Of a week: monday; of a month: 1 to 31, last, first monday, last friday; of a year: 01-16.", object{"minItems": 1, "maxItems": 366}},
	"Schedule.once":         {"The one date on which it fires, such as 2027-01-04.", object{"pattern": dateText}},
	"Schedule.property":     {"A date on the user's record on which it fires for that user.", object{"minLength": 1}},
	"Schedule.yearly":       {"On the anniversaries of that date, too.", nil},
	"Schedule.offset":       {"So many days before that date (-7d) or after it (7d).", nil},
	"Schedule.at":           {"The local time, such as 09:00.", object{"pattern": clockText}},
	"Schedule.time_zone":    {"An IANA name; the workflow's if left out.", nil},
	"Schedule.skip_missing": {"29 February in leap years only, and not on the 28th in others.", nil},

	"Hours.windows":  {"Any of them is open. Without any, the whole of every day that is left.", object{"maxItems": automation.MaxWindows}},
	"Hours.except":   {"Closed all day: dates, or days of every year.", object{"maxItems": automation.MaxDaysOff}},
	"Hours.holidays": {"The country whose public holidays are closed all day.", object{"enum": countries()}},
	"Window.days":    {"On these weekdays; every day if left out.", days()},
	"Window.from":    {"A time such as 09:00.", object{"pattern": clockText}},
	"Window.to":      {"A later time of the same day, at most 24:00.", object{"pattern": untilText}},

	"Step.id":         {"Unique in the workflow; by kind and position if left out.", object{"pattern": stepText}},
	"Step.title":      {"What people read.", object{"maxLength": 200}},
	"Step.action":     {"Has an effect: which one.", nil},
	"Step.with":       {"What the action needs. Texts in it are Liquid templates.", nil},
	"Step.delay":      {"Waits for time: 3d, { for: 2d, business_days: true }, or { until: … }.", nil},
	"Step.wait_for":   {"Waits until something happens.", nil},
	"Step.branch":     {"Takes the first arm whose if holds. The last one is the else.", object{"minItems": 1, "maxItems": automation.MaxArms}},
	"Step.branch_on":  {"Takes the case that a value is.", nil},
	"Step.cases":      {"The cases of the value. The last one is the else.", object{"minItems": 1, "maxItems": automation.MaxCases + 1}},
	"Step.split":      {"Takes one part by chance, for each user always the same.", object{"minItems": 2, "maxItems": automation.MaxParts}},
	"Step.goto":       {"The step at which the flow goes on.", object{"minLength": 1}},
	"Step.at_most":    {"So often for one enrollment; then the flow goes on behind it.", object{"minimum": 0, "maximum": automation.MaxTimes}},
	"Step.exit":       {"Ends the enrollment here, as completed.", nil},
	"Step.on_error":   {"What follows when the step fails for good: stop, the default, continue, or steps of its own.", nil},
	"Step.due_within": {"How late the action may begin, such as 2h; what comes later is left out, or as else says.", nil},

	"Arm.if":              {"Takes the arm where it holds of the user as of now.", nil},
	"Arm.else":            {"Takes the arm where no other was taken.", object{"const": true}},
	"Arm.steps":           {"What happens then, before the flow goes on after the branch.", nil},
	"Case.is":             {"The value, or several of them, that take the case; compared without regard to case.", nil},
	"Case.else":           {"Takes the case where no other was taken.", object{"const": true}},
	"Case.steps":          {"What happens then, before the flow goes on after the step.", nil},
	"Part.weight":         {"In proportion to the other parts.", object{"minimum": 1, "maximum": 1_000_000}},
	"Part.steps":          {"What happens then, before the flow goes on after the split.", nil},
	"BranchOn.property":   {"A property of the user; a list is each of its members.", object{"minLength": 1}},
	"BranchOn.value":      {"A Liquid template.", object{"minLength": 1}},
	"BranchOn.step":       {"An earlier step: its outcome, or its output.", object{"minLength": 1}},
	"BranchOn.output":     {"Which output of that step.", nil},
	"Exit.reason":         {"Stands in the enrollment when it has ended.", object{"maxLength": 200}},
	"Delay.for":           {"So long. With business_days a whole number of days, such as 2d.", nil},
	"Delay.business_days": {"Counts Mondays to Fridays that are no days off.", nil},
	"Delay.until":         {"Until a time of day, a date, or a date on the user's record.", nil},
	"DueWithin.within":    {"How late it may begin.", some},
	"DueWithin.else":      {"What becomes of an action that comes later: skip, the default, fail, or do.", object{"enum": []automation.Late{automation.LateSkip, automation.LateFail, automation.LateDo}}},

	"Until.at":       {"A local time such as 09:00: the next one, or that of the date.", object{"pattern": clockText}},
	"Until.on":       {"The next of these weekdays.", days()},
	"Until.date":     {"A date such as 2027-01-04.", object{"pattern": dateText}},
	"Until.property": {"A date on the user's record, which the delay follows when it changes.", object{"minLength": 1}},
	"Until.offset":   {"So long before that date (-2d) or after it (2d).", nil},
	"Until.if_missing": {"What happens where the property is empty; exit if left out.", object{
		"enum": []automation.Instead{automation.InsteadExit, automation.InsteadContinue, automation.InsteadFail, automation.InsteadWait},
	}},
	"Until.if_past": {"What happens where the date has passed; continue if left out.", object{
		"enum": []automation.Instead{automation.InsteadContinue, automation.InsteadExit, automation.InsteadFail},
	}},

	"WaitFor.event":   {"An event of the user that arrives after the step began.", object{"minLength": 1, "maxLength": 256}},
	"WaitFor.webhook": {"The name of an incoming webhook: a delivery to it that names the user.", object{"minLength": 1}},
	"WaitFor.where":   {"Asked of the user and of the event at that moment.", nil},
	"WaitFor.filter":  {"Holds for the user, from the beginning or later.", nil},
	"WaitFor.any":     {"The first of several things.", object{"minItems": 1, "maxItems": automation.MaxArms}},
	"WaitFor.at_most": {"How long; for ever if left out.", some},
	"Awaited.event":   {"An event of the user that arrives after the step began.", object{"minLength": 1, "maxLength": 256}},
	"Awaited.webhook": {"The name of an incoming webhook: a delivery to it that names the user.", object{"minLength": 1}},
	"Awaited.where":   {"Asked of the user and of the event at that moment.", nil},
	"Awaited.filter":  {"Holds for the user, from the beginning or later.", nil},

	"Condition.property":       {"A property of the user.", object{"minLength": 1}},
	"Condition.event_property": {"A property of the event that is asked about.", object{"minLength": 1}},
	"Condition.event":          {"How often an event of this name happened to the user.", object{"minLength": 1}},
	"Condition.workflow":       {"Whether the user went through this workflow.", object{"minLength": 1}},
	"Condition.step":           {"What an earlier step of the enrollment gave.", object{"minLength": 1}},
	"Condition.output":         {"Which of its outputs; its outcome if left out.", nil},
	"Condition.of":             {"What of the property: when it last changed, or the day and month of a date.", object{"enum": []filter.Aspect{filter.ChangedAt, filter.Anniversary}}},
	"Condition.ever":           {"Whether any value that the property ever had answers.", nil},
	"Condition.op":             {"How to compare.", nil},
	"Condition.value":          {"What to compare with: a value, a list of them, date math such as now-30d, or { property: … }.", nil},
	"Condition.count":          {"How many times.", object{"minimum": 0, "maximum": filter.MaxCount}},
	"Condition.within":         {"Counts those that happened at most so long ago, such as 7d.", object{"pattern": withinText}},
	"Condition.where":          {"Counts those whose properties this holds for.", nil},
	"Condition.if_empty":       {"What an empty value answers; false if left out.", nil},
	"Condition.time_zone":      {"Where dates are read: an IANA name, or user; as around it if left out.", nil},
}

func countries() []string {
	return append(slices.Clone(automation.HolidayCountries), automation.NoHolidays)
}

func days() object {
	return object{"minItems": 1, "uniqueItems": true, "items": object{"enum": weekdays}}
}

// required are the members that structs of one kind must have.
var required = map[reflect.Type][]string{
	reflect.TypeFor[automation.Window](): {"from", "to"},
	reflect.TypeFor[automation.Part]():   {"weight"},
}

// variants are the structs of several kinds. Every member belongs to one of them.
var variants = map[reflect.Type][]variant{
	reflect.TypeFor[automation.Trigger](): {
		{"An event", []string{"event"}, []string{"where"}},
		{"An incoming webhook", []string{"webhook"}, []string{"where"}},
		{"A filter that starts to hold", []string{"filter"}, nil},
		{"A schedule", []string{"schedule"}, []string{"where"}},
		{"On request only", []string{"manual"}, nil},
	},
	reflect.TypeFor[automation.Schedule](): {
		{"Again and again", []string{"every", "at"}, []string{"on", "time_zone", "skip_missing"}},
		{"Once", []string{"once", "at"}, []string{"time_zone"}},
		{"A date on the user's record", []string{"property", "at"}, []string{"yearly", "offset", "time_zone", "skip_missing"}},
	},
	reflect.TypeFor[automation.Step](): {
		{"Action", []string{"action"}, []string{"id", "title", "with", "on_error", "due_within"}},
		{"Delay", []string{"delay"}, []string{"id", "title", "on_error"}},
		{"Wait", []string{"wait_for"}, []string{"id", "title"}},
		{"Branch", []string{"branch"}, []string{"id", "title"}},
		{"Branch on a value", []string{"branch_on", "cases"}, []string{"id", "title"}},
		{"Split", []string{"split"}, []string{"id", "title"}},
		{"Go to a step", []string{"goto"}, []string{"id", "title", "at_most"}},
		{"Exit", []string{"exit"}, []string{"id", "title"}},
	},
	reflect.TypeFor[automation.Arm](): {
		{"If", []string{"if"}, []string{"steps"}},
		{"Else", []string{"else"}, []string{"steps"}},
	},
	reflect.TypeFor[automation.Case](): {
		{"Is", []string{"is"}, []string{"steps"}},
		{"Else", []string{"else"}, []string{"steps"}},
	},
	reflect.TypeFor[automation.BranchOn](): {
		{"A property of the user", []string{"property"}, nil},
		{"A template", []string{"value"}, nil},
		{"What a step gave", []string{"step"}, []string{"output"}},
	},
	reflect.TypeFor[automation.Until](): {
		{"A date on the user's record", []string{"property"}, []string{"offset", "at", "if_missing", "if_past"}},
		{"A date", []string{"date"}, []string{"at", "if_past"}},
		{"A time of day", []string{"at"}, nil},
		{"A weekday", []string{"on"}, []string{"at"}},
	},
	reflect.TypeFor[automation.WaitFor](): {
		{"An event", []string{"event"}, []string{"where", "at_most"}},
		{"An incoming webhook", []string{"webhook"}, []string{"where", "at_most"}},
		{"A filter that holds", []string{"filter"}, []string{"at_most"}},
		{"The first of several", []string{"any"}, []string{"at_most"}},
	},
	reflect.TypeFor[automation.Awaited](): {
		{"An event", []string{"event"}, []string{"where"}},
		{"An incoming webhook", []string{"webhook"}, []string{"where"}},
		{"A filter that holds", []string{"filter"}, nil},
	},
	reflect.TypeFor[filter.Condition](): {
		{"A property of the user", []string{"property", "op"}, []string{"of", "ever", "value", "if_empty", "time_zone"}},
		{"A property of the event", []string{"event_property", "op"}, []string{"value", "if_empty", "time_zone"}},
		{"How often an event happened", []string{"event", "op", "count"}, []string{"within", "where", "time_zone"}},
		{"A passage through a workflow", []string{"workflow", "op"}, []string{"time_zone"}},
		{"What an earlier step gave", []string{"step", "op"}, []string{"output", "value", "if_empty", "time_zone"}},
	},
}

// ops are the comparisons of a kind of condition.
func ops(about string) []filter.Op {
	switch about {
	case "event":
		return []filter.Op{filter.AtLeast, filter.AtMost}
	case "workflow":
		return []filter.Op{filter.Enrolled, filter.NeverEnrolled, filter.Active, filter.Completed}
	case "event_property", "step":
		return []filter.Op{
			filter.Known, filter.Unknown, filter.Equals, filter.NotEquals, filter.AnyOf, filter.NoneOf, filter.Contains, filter.NotContains,
			filter.StartsWith, filter.EndsWith, filter.GreaterThan, filter.AtLeast, filter.LessThan, filter.AtMost,
		}
	default:
		return propertyOps()
	}
}
