-- Sends the bytes of the file REQUEST as they are, and prints the outcome as one line of JSON.
-- Without a global `request` function wrk asks wrk.format once and repeats the answer,
-- so that the client stays as cheap as it is without a script.

local file = assert(io.open(os.getenv("REQUEST"), "rb"))
local bytes = file:read("*a")
file:close()

wrk.format = function() return bytes end

done = function(summary, latency, requests)
  local e = summary.errors
  io.write(string.format(
    'OUTCOME {"requests": %d, "bytes": %d, "microseconds": %d, "connect": %d, "read": %d, ' ..
    '"write": %d, "timeout": %d, "status": %d, "p50": %d, "p99": %d}\n',
    summary.requests, summary.bytes, summary.duration, e.connect, e.read,
    e.write, e.timeout, e.status, latency:percentile(50), latency:percentile(99)))
end
