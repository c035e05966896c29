package postgresql

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
)

// ErrNoInstallation means that this machine has no PostgreSQL that Start could use and that none
// could be downloaded.
var ErrNoInstallation = errors.New("no usable PostgreSQL installation")

// oldest is the first major version that Rollcall's SQL runs on.
const oldest = 15

// installation is a folder of PostgreSQL's programs.
type installation struct {
	bin   string
	major int
}

func (i installation) program(name string) string { return filepath.Join(i.bin, name) }

// findInstallation returns the first installation on this machine that the account can run, and
// downloads one where there is none. Data that exists ties it to one major version; 0 = any.
func findInstallation(ctx context.Context, run account, major int, log *slog.Logger) (installation, error) {
	var seen []string
	for _, bin := range candidates(ctx) {
		found, ok := inspect(ctx, bin)
		if !ok || run.reaches(bin) != nil {
			continue
		}
		if found.major >= oldest && (major == 0 || found.major == major) {
			return found, nil
		}
		seen = append(seen, fmt.Sprintf("%d in %s", found.major, bin))
	}
	log.Info("downloading PostgreSQL, since none was found on this machine", "found", seen)
	found, err := download(ctx, major)
	if err == nil {
		return found, nil
	}
	need := fmt.Sprintf("%d or newer", oldest)
	if major != 0 {
		need = strconv.Itoa(major) + ", which made the data,"
	}
	if len(seen) > 0 {
		need += " (found " + strings.Join(seen, ", ") + ")"
	}
	return installation{}, fmt.Errorf("%w: install PostgreSQL %s or give the address of a server: %w",
		ErrNoInstallation, need, err)
}

// candidates are the folders where the programs may be, most wanted first.
func candidates(ctx context.Context) []string {
	var dirs []string
	if path, err := exec.LookPath("postgres"); err == nil {
		if real, err := filepath.EvalSymlinks(path); err == nil {
			dirs = append(dirs, filepath.Dir(real))
		}
	}
	if out, err := exec.CommandContext(ctx, "pg_config", "--bindir").Output(); err == nil {
		dirs = append(dirs, strings.TrimSpace(string(out)))
	}
	for _, pattern := range []string{
		"/usr/lib/postgresql/*/bin",          // Debian, Ubuntu
		"/usr/pgsql-*/bin",                   // Red Hat
		"/usr/libexec/postgresql*",           // Alpine
		"/usr/local/pgsql/bin",               // built from source
		"/opt/homebrew/opt/postgresql@*/bin", // Homebrew
		"/usr/local/opt/postgresql@*/bin",
		"/home/linuxbrew/.linuxbrew/opt/postgresql@*/bin",
	} {
		found, _ := filepath.Glob(pattern) // the patterns are well formed
		sort.Sort(sort.Reverse(sort.StringSlice(found)))
		dirs = append(dirs, found...)
	}
	return dirs
}

// inspect reports the version of the programs in a folder, if a server can be made with them.
func inspect(ctx context.Context, bin string) (installation, bool) {
	found := installation{bin: bin}
	if _, err := os.Stat(found.program("initdb")); err != nil {
		return found, false
	}
	out, err := exec.CommandContext(ctx, found.program("postgres"), "--version").Output()
	if err != nil {
		return found, false
	}
	fields := strings.Fields(string(out)) // postgres (PostgreSQL) 15.13 (Debian ...)
	if len(fields) < 3 {
		return found, false
	}
	number := fields[2] // or 19beta1, 19devel
	if end := strings.IndexFunc(number, func(r rune) bool { return r < '0' || r > '9' }); end >= 0 {
		number = number[:end]
	}
	found.major, err = strconv.Atoi(number)
	return found, err == nil
}

// majorVersion reads which version made a data folder; 0 = there is no data yet.
func majorVersion(data string) int {
	text, err := os.ReadFile(filepath.Join(data, "PG_VERSION"))
	if err != nil {
		return 0
	}
	major, _ := strconv.Atoi(strings.TrimSpace(string(text)))
	return major
}
