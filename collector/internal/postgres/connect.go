package postgres

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"datawatch/pkg/config"
	"datawatch/pkg/reason"
)

// applicationName is how our sessions show in pg_stat_activity.
const applicationName = "datawatch-collector"

// querier is a connection or a transaction.
type querier interface {
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// parameters are those that an address may have wrong, by how the parser's errors begin that are about them.
var parameters = []struct{ says, parameter string }{
	{"failed to configure TLS (sslmode", "sslmode"},
	{"failed to configure TLS (unable to read CA file", "sslrootcert"},
	{"failed to configure TLS (unable to add CA", "sslrootcert"},
	{"failed to configure TLS", "sslcert, sslkey"},
	{"invalid sslcertmode", "sslcertmode"},
	{"invalid port", "port"},
	{"could not match", "port"},
	{"invalid connect_timeout", "connect_timeout"},
	{"unknown target_session_attrs", "target_session_attrs"},
	{"unknown channel_binding", "channel_binding"},
	{"invalid require_auth", "require_auth"},
	{"invalid min_protocol_version", "min_protocol_version"},
	{"invalid max_protocol_version", "max_protocol_version"},
	{"failed to read service", "service"},
}

// wrongParameter is the parameter that an address has wrong, "" where that isn't known. The error itself may quote the password: what it
// takes for another part of the address may be a piece of it.
func wrongParameter(err error) string {
	text := err.Error()
	text = text[strings.LastIndex(text, "`: ")+1:]
	for _, p := range parameters {
		if strings.HasPrefix(text, ": "+p.says) {
			return p.parameter
		}
	}
	return ""
}

// connect opens a session whose settings don't depend on the role's or the database's, by the DSN that the configuration has under a key.
func connect(ctx context.Context, key string, dsn config.Secret) (*pgx.Conn, error) {
	c, err := pgx.ParseConfig(dsn.Reveal())
	if err != nil { // it may quote the password
		return nil, reason.New(reason.NoAddress.With())
	}
	for name, value := range map[string]string{
		"application_name":                    applicationName,
		"search_path":                         "pg_catalog",
		"client_encoding":                     "UTF8",
		"timezone":                            "UTC",
		"datestyle":                           "ISO, YMD",
		"standard_conforming_strings":         "on",
		"quote_all_identifiers":               "off", // which names of types have as well
		"idle_in_transaction_session_timeout": "60s",
		"statement_timeout":                   "0",
		"default_transaction_isolation":       "read committed",
		"default_transaction_read_only":       "off",
		"default_transaction_deferrable":      "off",
		"synchronous_commit":                  "local", // what we note waits for no standby
		"jit":                                 "off",   // queries of the catalog are quick, and seem expensive where it is large
	} {
		c.RuntimeParams[name] = value
	}
	ctx, cancel := Bounded(ctx, c)
	defer cancel()
	db, err := pgx.ConnectConfig(ctx, c)
	if err != nil {
		return nil, Unopened(err, reason.NotConnected, key, c)
	}
	if _, err := db.Exec(ctx, TimeoutsSQL); err != nil {
		closeConn(ctx, db)
		return nil, Unopened(err, reason.NotConnected, key, c)
	}
	if db.PgConn().ParameterStatus("server_encoding") == "SQL_ASCII" { // takes any bytes for text, and wouldn't give them to us
		if _, err := db.Exec(ctx, "set client_encoding = 'SQL_ASCII'"); err != nil {
			closeConn(ctx, db)
			return nil, Unopened(err, reason.NotConnected, key, c)
		}
	}
	return db, nil
}

// TimeoutsSQL keeps a session that may be idle for days, or in one transaction for hours: of settings that older versions don't have.
const TimeoutsSQL = "select set_config(name, '0', false) from pg_settings where name in ('lock_timeout', 'idle_session_timeout', 'transaction_timeout')"

// closeConn says goodbye also when ctx is done.
func closeConn(ctx context.Context, db *pgx.Conn) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	_ = db.Close(ctx) // the server notices either way
}

func (s *Source) connectReader(ctx context.Context) (*pgx.Conn, error) {
	return s.connectHome(ctx, KeyDSN, s.config.DSN, s.config.InstallDSN == "")
}

func (s *Source) connectInstaller(ctx context.Context) (*pgx.Conn, error) {
	if s.config.InstallDSN != "" {
		return s.connectHome(ctx, KeyInstallDSN, s.config.InstallDSN, true)
	}
	return s.connectReader(ctx)
}

// connectHome opens a session that works in the schema datawatch; installs: and with what is there.
func (s *Source) connectHome(ctx context.Context, key string, dsn config.Secret, installs bool) (*pgx.Conn, error) {
	db, err := connect(ctx, key, dsn)
	if err != nil {
		return nil, err
	}
	installer := ""
	if c, err := pgx.ParseConfig(s.config.InstallDSN.Reveal()); err == nil && s.config.InstallDSN != "" {
		installer = c.User
	}
	if err := refuseStranger(ctx, db, installs, installer); err != nil {
		closeConn(ctx, db)
		return nil, err
	}
	return db, nil
}

// refuseStranger ends what a superuser is about to do in a schema of somebody who is none, and whoever installs in one of somebody
// that he is no member of: what is there, and looks like tables or functions of ours, would be run with his rights. Who installs by the
// configuration is no stranger.
func refuseStranger(ctx context.Context, db querier, installs bool, installer string) error {
	var owner string
	err := db.QueryRow(ctx, `select coalesce((select n.nspowner::regrole::text from pg_namespace n join pg_roles o on o.oid = n.nspowner, pg_roles me
		where n.nspname = 'datawatch' and me.rolname = current_user and not o.rolsuper and o.rolname <> $2 and (me.rolsuper or $1 and not pg_has_role(n.nspowner, 'usage'))), '')`,
		installs, installer).Scan(&owner)
	if err != nil {
		return fmt.Errorf("ask whose the schema datawatch is: %w", err)
	}
	if owner != "" {
		return fmt.Errorf("the schema datawatch belongs to %[1]s, who could have you run what is his: connect as %[1]s, or, if it isn't datawatch's, drop it", owner)
	}
	return nil
}

// RefuseStrangerSQL is the same for whoever runs a plan: the schema may have come since it was printed.
const RefuseStrangerSQL = `do $$ begin
  if exists (select from pg_namespace n join pg_roles o on o.oid = n.nspowner, pg_roles me where n.nspname = 'datawatch' and me.rolname = current_user
      and o.rolname <> me.rolname and not o.rolsuper and (me.rolsuper or not pg_has_role(n.nspowner, 'usage'))) then
    raise exception 'the schema datawatch belongs to somebody who could have you run what is his';
  end if;
end $$;`

// readerRole is the role that reads, or "" where it is the installer's.
func (s *Source) readerRole(ctx context.Context, installer querier) (string, error) {
	if s.config.InstallDSN == "" {
		return "", nil
	}
	db, err := s.connectReader(ctx)
	if err != nil {
		return "", err
	}
	defer closeConn(ctx, db)
	var reads, installs string
	if err := db.QueryRow(ctx, "select current_user").Scan(&reads); err != nil {
		return "", fmt.Errorf("ask who reads: %w", err)
	}
	if err := installer.QueryRow(ctx, "select current_user").Scan(&installs); err != nil {
		return "", fmt.Errorf("ask who installs: %w", err)
	}
	if reads == installs {
		return "", nil
	}
	return reads, nil
}

// isHotStandby tells whether the server only replays another's changes.
func isHotStandby(ctx context.Context, db querier) (bool, error) {
	var standby bool
	if err := db.QueryRow(ctx, "select pg_is_in_recovery()").Scan(&standby); err != nil {
		return false, fmt.Errorf("ask whether the server is a standby: %w", err)
	}
	return standby, nil
}

// ErrStandby says that nothing can be captured, installed or removed on a hot standby.
var ErrStandby = reason.New(reason.PostgresStandby.With())

func refuseStandby(ctx context.Context, db querier) error {
	standby, err := isHotStandby(ctx, db)
	if err == nil && standby {
		err = ErrStandby
	}
	return err
}

// message is an error of PostgreSQL in few words.
func message(err error) string {
	return strings.TrimPrefix(err.Error(), "ERROR: ")
}

// words is what an error says, with those of PostgreSQL as message has them.
func words(err error) reason.Text {
	why := reason.Why(err)
	why.Quote = strings.TrimPrefix(why.Quote, "ERROR: ")
	return why
}
