// Package testrig gives tests the servers that users have: PostgreSQL and Apache
// Kafka, real ones, a server that speaks MongoDB, and the embedded broker. Servers start when a test first asks
// for them, one of a kind for a test process, and end with the process.
//
// A package that uses it has
//
//	func TestMain(m *testing.M) { testrig.Main(m) }
//
// Where a server can't be had, the test is skipped with a line that says why; with
// DATAWATCH_REQUIRE_SERVERS=1 it fails instead. Servers of one's own are named by
// DATAWATCH_TEST_POSTGRES_DSN (a superuser's), DATAWATCH_TEST_KAFKA (host:port, or a
// comma list) and DATAWATCH_TEST_MONGODB_URI (a replica set);
// DATAWATCH_TEST_POSTGRES_VERSION is the version of PostgreSQL that tests get which
// ask for none.
//
// It refuses to isolate by restarting: tests share a server and each takes a
// database of its own ([PostgresServer.Database]) or topics with a prefix of its
// own ([Prefix]). A test that kills its server asks for a private one.
//
// Machines are slow and busy, and no test fails for that. What is to happen is waited for by [Eventually], what takes as long as
// there is work by [WhileMoving]; what is promised within a time is tried by [Promptly]; a service that is told its address
// listens at a [FreeAddress]; and goroutines are seen to end by [NothingRuns].
package testrig
