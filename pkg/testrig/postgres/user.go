package postgres

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
)

// unprivileged is whom the server runs as: for root somebody else, as PostgreSQL
// refuses root, and for everybody else nobody but themselves (nil).
func unprivileged() (*syscall.Credential, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err := strconv.ParseUint(u.Uid, 10, 32)
		if err != nil {
			return nil, fmt.Errorf("user %s: %w", name, err)
		}
		gid, err := strconv.ParseUint(u.Gid, 10, 32)
		if err != nil {
			return nil, fmt.Errorf("user %s: %w", name, err)
		}
		return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
	}
	return nil, errors.New("PostgreSQL refuses to run as root, and this machine has neither a user postgres nor nobody")
}

// handOver gives the folder and what is in it to the user that the server runs as.
func handOver(dir string, to *syscall.Credential) error {
	if to == nil {
		return nil
	}
	return filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, int(to.Uid), int(to.Gid))
	})
}

// reachable says which folder on the way to path another user could not enter.
func reachable(path string, by *syscall.Credential) error {
	if by == nil {
		return nil
	}
	for dir := filepath.Dir(path); ; dir = filepath.Dir(dir) {
		info, err := os.Stat(dir)
		if err != nil {
			return err
		}
		if !mayEnter(info, by) {
			return fmt.Errorf("%s can't be entered by uid %d, as whom the server runs: choose a folder elsewhere", dir, by.Uid)
		}
		if dir == filepath.Dir(dir) {
			return nil
		}
	}
}

func mayEnter(dir os.FileInfo, by *syscall.Credential) bool {
	owner, known := dir.Sys().(*syscall.Stat_t)
	switch mode := dir.Mode(); {
	case !known:
		return true
	case owner.Uid == by.Uid:
		return mode&0o100 != 0
	case owner.Gid == by.Gid:
		return mode&0o010 != 0
	default:
		return mode&0o001 != 0
	}
}
