package postgresql

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// account is who the server runs as. PostgreSQL refuses root, so root lends it an unprivileged one.
type account struct {
	name     string
	uid, gid uint32
	other    bool // not the account of this process
}

// chooseAccount returns this process's own account, or for root "postgres" or else "nobody".
func chooseAccount() (account, error) {
	if os.Geteuid() != 0 {
		return account{name: "this user", uid: uint32(os.Geteuid()), gid: uint32(os.Getegid())}, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		found, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, uidErr := strconv.ParseUint(found.Uid, 10, 32)
		gid, gidErr := strconv.ParseUint(found.Gid, 10, 32)
		if uidErr == nil && gidErr == nil {
			return account{name: found.Username, uid: uint32(uid), gid: uint32(gid), other: true}, nil
		}
	}
	return account{}, errors.New("PostgreSQL does not run as root and there is no account postgres or nobody " +
		"to run it as: create one, or run as another user")
}

// attributes are those of a child process that runs as the account.
func (a account) attributes() *syscall.SysProcAttr {
	attr := &syscall.SysProcAttr{}
	if a.other {
		attr.Credential = &syscall.Credential{Uid: a.uid, Gid: a.gid}
	}
	return attr
}

// own gives a file or folder to the account.
func (a account) own(path string) error {
	if !a.other {
		return nil
	}
	return os.Chown(path, int(a.uid), int(a.gid))
}

// reaches returns an error that names the first folder on the way to path, itself included, that the
// account may not enter. Folders that do not exist yet are not asked. Access lists beyond the mode
// bits are not looked at, and only root needs the question: others own what they create.
func (a account) reaches(path string) error {
	if !a.other {
		return nil
	}
	walked := string(filepath.Separator)
	for _, part := range strings.Split(strings.Trim(path, walked), string(filepath.Separator)) {
		real, err := filepath.EvalSymlinks(filepath.Join(walked, part))
		if os.IsNotExist(err) {
			return nil
		}
		if err != nil {
			return err
		}
		if real != filepath.Join(walked, part) { // a link: the way to where it leads counts
			if err := a.reaches(real); err != nil {
				return err
			}
		}
		info, err := os.Stat(real)
		if err != nil {
			return err
		}
		if !a.enters(info) {
			return fmt.Errorf("account %s, which runs PostgreSQL because root may not, cannot enter %s (%s): "+
				"choose a data folder elsewhere, such as /var/lib/rollcall, or allow it with: chmod o+x %s",
				a.name, real, info.Mode(), real)
		}
		walked = real
	}
	return nil
}

func (a account) enters(info os.FileInfo) bool {
	owner, ok := info.Sys().(*syscall.Stat_t)
	if !ok || !info.IsDir() {
		return true
	}
	switch {
	case owner.Uid == a.uid:
		return info.Mode().Perm()&0o100 != 0
	case owner.Gid == a.gid:
		return info.Mode().Perm()&0o010 != 0
	}
	return info.Mode().Perm()&0o001 != 0
}
