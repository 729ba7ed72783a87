import { createServer } from 'node:http'
import { basketOf } from './basket.js'
import { charge } from './payments.js'

const port = Number(process.env.PORT ?? 3000)

const server = createServer(async (request, response) => {
  const basket = basketOf(request.headers.cookie)
  if (request.method === 'POST' && request.url === '/checkout') {
    const receipt = await charge(basket.totalCents, basket.id)
    response.writeHead(201, { 'content-type': 'application/json' }).end(JSON.stringify(receipt))
    return
  }
  response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(basket))
})

server.listen(port, () => console.log(`Copper Kettle is open on port ${port}`))
