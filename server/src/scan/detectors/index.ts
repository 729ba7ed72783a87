import type { Detector } from '../detector.ts'
import { logins } from '../generic/logins.ts'
import { ai } from './ai.ts'
import { building } from './building.ts'
import { cloud } from './cloud.ts'
import { codeHosting } from './code-hosting.ts'
import { data } from './data.ts'
import { detectorOf, type Row } from './form.ts'
import { identity } from './identity.ts'
import { keyFiles } from './key-files.ts'
import { mail } from './mail.ts'
import { messaging } from './messaging.ts'
import { operations } from './operations.ts'
import { payments } from './payments.ts'
import { secretStores } from './secret-stores.ts'
import { software } from './software.ts'
import { specialForms } from './special-forms.ts'
import { standardForms } from './standard-forms.ts'
import { webServices } from './web-services.ts'

/** The rows, grouped by what a service is for. */
export const groups: readonly { readonly title: string; readonly rows: readonly Row[] }[] = [
  { title: 'Code hosting', rows: codeHosting },
  { title: 'Building, testing, publishing', rows: building },
  { title: 'Clouds and networks', rows: cloud },
  { title: 'Language models and machine learning', rows: ai },
  { title: 'Payments and commerce', rows: payments },
  { title: 'Chat, telephony, notifications', rows: messaging },
  { title: 'E-mail, marketing, customers', rows: mail },
  { title: 'Databases and data', rows: data },
  { title: 'Monitoring, security, feature flags', rows: operations },
  { title: 'Secret stores, clusters, private networks', rows: secretStores },
  { title: 'Sign-in and social networks', rows: identity },
  { title: 'Planning, design, content', rows: software },
  { title: 'Data over the web', rows: webServices },
]

/** What is told by an expression of its own. */
export const patterns: readonly Detector[] = [...specialForms, ...keyFiles, ...standardForms, ...logins]

/** Every kind of credential that Keyward knows by its form. */
export const detectors: readonly Detector[] = [
  ...groups.flatMap(({ rows }) => rows.map(detectorOf)),
  ...patterns,
]
