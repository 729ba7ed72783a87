import { z } from 'zod'
import { type ActionContext, defineAction } from '../connector.ts'
import { hiddenMark, openGitHub, permissionsOf, privateKeyField, repositoryName } from './client.ts'

const permissions = ['issues:write'] as const
const issue = z.object({ number: z.int(), html_url: z.string(), body: z.string().nullish() })
const issueOutput = z.strictObject({ number: z.int(), url: z.string() })
const issueInput = z.strictObject({
  repository: repositoryName,
  title: z.string().min(1).max(250),
  body: z.string().max(60_000).default(''),
  labels: z.array(z.string().min(1).max(50)).max(20).default([]),
})

export const createIssue = defineAction({
  name: 'github.create-issue',
  title: 'Open an issue',
  input: issueInput,
  output: issueOutput,
  risk: 'low',
  reversible: true,
  idempotent: true,
  permissions,
  secretFields: [privateKeyField],
  async execute(context: ActionContext<z.output<typeof issueInput>>) {
    const { repository, title, body, labels } = context.input
    const github = openGitHub(context, repository, permissionsOf(permissions))
    const mark = hiddenMark(context)
    const newest = await github.call(
      'GET /repos/{owner}/{repo}/issues',
      { state: 'all', sort: 'created', direction: 'desc', per_page: 100 },
      z.array(issue),
    )
    const own =
      newest.find((one) => one.body?.includes(mark)) ??
      (await github.call(
        'POST /repos/{owner}/{repo}/issues',
        { title, body: `${body}\n\n${mark}`, labels },
        issue,
      ))
    return { number: own.number, url: own.html_url }
  },
})

const comments = z.array(z.object({ id: z.int(), html_url: z.string(), body: z.string().nullish() }))
const commentInput = z.strictObject({
  repository: repositoryName,
  /** Of an issue or a pull request. */
  number: z.int().min(1),
  body: z.string().min(1).max(60_000),
})
const mostComments = 1000

export const comment = defineAction({
  name: 'github.comment',
  title: 'Comment on an issue or a pull request',
  input: commentInput,
  output: z.strictObject({ id: z.int(), url: z.string() }),
  risk: 'low',
  reversible: true,
  idempotent: true,
  permissions,
  secretFields: [privateKeyField],
  async execute(context: ActionContext<z.output<typeof commentInput>>) {
    const { repository, number, body } = context.input
    const github = openGitHub(context, repository, permissionsOf(permissions))
    const mark = hiddenMark(context)
    const place = { issue_number: number }
    const route = '/repos/{owner}/{repo}/issues/{issue_number}/comments'
    const { items } = await github.pages(`GET ${route}`, place, comments, mostComments)
    const own =
      items.find((one) => one.body?.includes(mark)) ??
      (await github.call(`POST ${route}`, { ...place, body: `${body}\n\n${mark}` }, comments.element))
    return { id: own.id, url: own.html_url }
  },
})
