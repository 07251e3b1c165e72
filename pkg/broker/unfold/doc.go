// Package unfold bounds what a Kafka client holds of what brokers send compressed. A batch of a few kilobytes can unfold to
// gigabytes, and the client library unfolds every batch of a response whole, all at once; its own bound
// (sarama.MaxDecompressedBatchSize) knows one batch only, and fails the whole response.
//
// A connection made by Conn unfolds what fetches bring before the client sees it, and gives on at most so much of it:
//
//   - Batches of lz4 as producers write them, which have room, stay folded: what they come to is told from their blocks, as is that
//     the client will find nothing wrong with them.
//   - Batches that are too much for one response are left out of it; the client asks for them next.
//   - A batch that is too much alone comes in parts: the records from the offset that was asked for, as many as fit. To the
//     client it is a batch that ends there. Nothing is lost or changed; the batch is unfolded again for each part.
//   - A record that is too much alone comes cut, with a Mark that says how much is missing.
//   - What can't be unfolded at all, or goes on for more than half a gigabyte, comes as one record with a Mark that says why,
//     in the place of all records of the batch that are left.
//   - A message of the formats before version 2 passes as it is, counted as what it unfolds to; one that is too much alone comes
//     as one such record.
//
// What it costs is what unfolding costs, which the client is spared, and of what stays folded next to nothing: buffers are used
// again while responses follow each other, and record sets are read by the client from where they were unfolded.
//
// It refuses to judge: uncompressed batches and batches with a wrong checksum pass as they are. Order, offsets, producers and timestamps stay.
// It sees what is sent in the clear: TLS belongs below it.
package unfold
