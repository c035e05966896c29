package automation

import (
	"errors"
	"fmt"

	"rollcall/strictjson"
)

// The general errors. Every error that a caller may act on is one of these, found by errors.Is.
var (
	// ErrNotFound is returned when a thing that was asked for by its id does not exist.
	ErrNotFound = errors.New("not found")
	// ErrConflict is returned when the state of a thing forbids what was asked.
	ErrConflict = errors.New("conflict")
	// ErrInvalid is returned when input is well formed but not acceptable.
	ErrInvalid = errors.New("invalid")
	// ErrStale is returned when a thing changed since the caller read it.
	ErrStale = errors.New("changed meanwhile")
	// ErrUnavailable is returned when a dependency does not answer; trying again may help.
	ErrUnavailable = errors.New("unavailable")
)

// The specific errors, each one of the general ones.
var (
	// ErrAlreadyEnrolled is returned when the user has a live enrollment in the definition.
	ErrAlreadyEnrolled error = specific{"the user is already enrolled", ErrConflict}
	// ErrNotActive is returned when a definition has no live version to enroll into.
	ErrNotActive error = specific{"the workflow is not published", ErrConflict}
	// ErrEnrollsOnce is returned when the user was enrolled before and the definition enrolls once only.
	ErrEnrollsOnce error = specific{"the user was enrolled before and the workflow does not enroll again", ErrConflict}
	// ErrSuppressed is returned when a condition of the definition keeps the user out.
	ErrSuppressed error = specific{"a condition of the workflow keeps the user out", ErrConflict}
	// ErrFinished is returned when an enrollment has already ended.
	ErrFinished error = specific{"it has already ended", ErrConflict}
	// ErrInUse is returned when a thing cannot be removed because another needs it.
	ErrInUse error = specific{"in use", ErrConflict}
	// ErrEventIDTaken is returned when an event has the id of another event.
	ErrEventIDTaken error = specific{"an event of another user or name has this id", ErrInvalid}
	// ErrUnknownUser is returned when a request names a user that does not exist.
	ErrUnknownUser error = specific{"there is no such user", ErrInvalid}
)

// specific is an error with words of its own that is also a general one.
type specific struct {
	text    string
	general error
}

func (e specific) Error() string { return e.text }

func (e specific) Unwrap() error { return e.general }

// Problem is one thing that is wrong with a document, with the place where it stands.
type Problem = strictjson.Problem

// Problems are all the things that are wrong with a document.
type Problems = strictjson.Problems

// InvalidError carries every problem of a document; it is ErrInvalid.
type InvalidError struct {
	What     string // what was read, e.g. "the definition"
	Problems Problems
}

// Invalid returns nil where there are no problems, else an *InvalidError.
func Invalid(what string, problems Problems) error {
	if len(problems) == 0 {
		return nil
	}
	return &InvalidError{what, problems}
}

func (e *InvalidError) Error() string {
	first := e.Problems[0]
	more := ""
	if n := len(e.Problems) - 1; n > 0 {
		more = fmt.Sprintf(" (and %d more)", n)
	}
	return fmt.Sprintf("%s is not acceptable: %s: %s%s", e.What, first.Pointer, first.Message, more)
}

// Is makes every InvalidError an ErrInvalid.
func (e *InvalidError) Is(target error) bool { return target == ErrInvalid }
