import { render } from 'preact'
import { App } from './shell/app'
import { loadSession } from './shell/session'
import { loadLanguage } from './texts'
import './style/base.css'
import './style/parts.css'
import './style/views.css'
import './style/tabs.css'

// The role and the language are known before the first paint.
void Promise.all([loadSession(), loadLanguage()]).then(() => {
  const place = document.getElementById('page')
  if (place) render(<App />, place)
})
