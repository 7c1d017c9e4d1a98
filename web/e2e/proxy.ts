import http from 'node:http'
import net from 'node:net'

/** A reverse proxy that has the service below a path, as many have; it can refuse WebSockets. */
export async function proxied(target: string, path: string, upgrades = true) {
  const { hostname, port } = new URL(target)
  const inner = (url = '/') => url.slice(path.length) || '/'
  const server = http.createServer((request, response) => {
    if (!request.url?.startsWith(`${path}/`)) {
      response.writeHead(404).end()
      return
    }
    const options = {
      hostname,
      port,
      path: inner(request.url),
      method: request.method,
      headers: request.headers,
    }
    const forwarded = http.request(options, (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers)
      answer.pipe(response)
    })
    forwarded.on('error', () => response.writeHead(502).end())
    request.pipe(forwarded)
  })
  server.on('upgrade', (request, socket, head) => {
    if (!upgrades) {
      socket.end('HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n')
      return
    }
    const forwarded = net.connect(Number(port), hostname, () => {
      const headers = Object.entries(request.headers).map(([name, value]) => `${name}: ${value}`)
      forwarded.write(`GET ${inner(request.url)} HTTP/1.1\r\n${headers.join('\r\n')}\r\n\r\n`)
      forwarded.write(head)
      forwarded.pipe(socket).pipe(forwarded)
    })
    forwarded.on('error', () => socket.destroy())
    socket.on('error', () => forwarded.destroy())
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port: own } = server.address() as net.AddressInfo
  return {
    url: `http://127.0.0.1:${own}${path}`,
    close: () => new Promise((resolve) => (server.closeAllConnections(), server.close(resolve))),
  }
}
